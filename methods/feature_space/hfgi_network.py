"""HFGI's two networks: from what a code's image lacks to a change of one map of the generator.

Reference: Wang et al., "High-Fidelity GAN Inversion for Image Attribute Editing", arXiv 2109.06590, section 3. Written
from the paper and from the names and shapes of the released file's tensors, which the parameters have here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log2, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.feature_maps import check_map
from methods.generators.stylegan2 import Generator
from metrics.networks.irse import ResidualUnit, input_layer

UNITS = 3  # residual units of a level


@dataclass(frozen=True)
class HfgiConfig:
    """The shape of HFGI's networks. The defaults are the official ones, for a 1024 px generator.

    resolution: R, the side of the images that they see. layer: k of the map f[k] that is changed. channels: that map's.
    align: feature maps of the aligning network at R, R/2, R/4 and R/8. residue: of the other one at R, R/2 and R/4.
    """

    resolution: int = 256
    layer: int = 8
    channels: int = 512
    align: tuple[int, ...] = (16, 32, 48, 64)
    residue: tuple[int, ...] = (32, 48, 64)

    def __post_init__(self) -> None:
        if len(self.align) != 4 or len(self.residue) != 3:
            raise ValueError(f"expected four widths and three, found align {self.align} and residue {self.residue}")
        if self.resolution < 8 or log2(self.resolution) % 1:
            raise ValueError(f"resolution is a power of two of at least 8, found {self.resolution}")

    @property
    def side(self) -> int:
        """Of the map that is changed."""
        return 4 * 2 ** (self.layer // 2)

    def check(self, generator: Generator) -> None:
        """Raises ValueError where the generator has no such map."""
        check_map(self.layer, self.channels, generator)


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    """Residual units of which the first one halves the side."""
    first = ResidualUnit(inputs, outputs, 2, excited=False)
    return nn.Sequential(first, *(ResidualUnit(outputs, outputs, 1, excited=False) for _ in range(UNITS - 1)))


def _merging(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    """Residual units of one side."""
    widths = [inputs, inner, *[outputs] * (UNITS - 1)]
    return nn.Sequential(*(ResidualUnit(i, o, 1, excited=False) for i, o in pairwise(widths)))


def _bilinear(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


def seen(images: Tensor, side: int) -> Tensor:
    """Unclamped images of the generator as the networks see them: in [-1, 1], bilinear without antialiasing."""
    return _bilinear(images.clamp(-1, 1), side)


class GridAlign(nn.Module):
    """Moves the missing details to where another image of the same person would have them."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        full, half, quarter, eighth = widths
        self.conv_layer1 = input_layer(6, full)
        self.conv_layer2 = _halving(full, half)
        self.conv_layer3 = _halving(half, quarter)
        self.conv_layer4 = _halving(quarter, eighth)
        self.dconv_layer1 = _merging(eighth + quarter, eighth, half)
        self.dconv_layer2 = _merging(half + half, half, full)
        self.dconv_layer3 = _merging(full + full, full, 3)

    def forward(self, residual: Tensor, image: Tensor) -> Tensor:
        """[N, 3, R, R] each -> [N, 3, R, R]."""
        full = self.conv_layer1(torch.cat([residual, image], dim=1))
        half = self.conv_layer2(full)
        quarter = self.conv_layer3(half)
        x: Tensor = self.conv_layer4(quarter)
        for merge, skip in ((self.dconv_layer1, quarter), (self.dconv_layer2, half), (self.dconv_layer3, full)):
            x = merge(torch.cat([_bilinear(x, skip.shape[-1]), skip], dim=1))
        return x


class EqualConv(nn.Module):
    """Convolution 3x3 with equalised learning rate: stored weights are N(0, 1), scaled when used."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / sqrt(inputs * 9)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=1)


class _ScaledLeakyReLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2) * sqrt(2)


def _head(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(EqualConv(inputs, outputs), _ScaledLeakyReLU(), EqualConv(outputs, outputs))


class Residue(nn.Module):
    """Aligned details to the factor and the summand of a generator's map."""

    def __init__(self, config: HfgiConfig):
        super().__init__()
        full, half, quarter = config.residue
        self.side = config.side
        self.conv_layer1 = input_layer(3, full)
        self.conv_layer2 = _halving(full, half)
        self.conv_layer3 = _halving(half, quarter)
        self.condition_scale3 = _head(quarter, config.channels)
        self.condition_shift3 = _head(quarter, config.channels)

    def forward(self, aligned: Tensor) -> dict[str, Tensor]:
        """[N, 3, R, R] -> "scale" and "shift", [N, channels, side, side] each."""
        x = self.conv_layer3(self.conv_layer2(self.conv_layer1(aligned)))
        heads = {"scale": self.condition_scale3, "shift": self.condition_shift3}
        return {name: _bilinear(head(x), self.side) for name, head in heads.items()}


class HfgiNetworks(nn.Module):
    """Both networks."""

    def __init__(self, config: HfgiConfig):
        super().__init__()
        self.shape = config
        self.residue = Residue(config)
        self.grid_align = GridAlign(config.align)
        self.to(memory_format=torch.channels_last)  # the faster layout on a CPU

    def forward(self, residual: Tensor, image: Tensor) -> dict[str, Tensor]:
        """What the image of the code to be inverted lacks, and the image of the code at hand, to a map's change.

        Args:
            residual: [N, 3, R, R] in [-2, 2], target minus image.
            image: [N, 3, R, R], as of `seen`.

        Returns:
            "scale" and "shift", [N, channels, side, side] each.
        """
        change: dict[str, Tensor] = self.residue(self.grid_align(residual, image))
        return change
