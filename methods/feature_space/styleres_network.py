"""StyleRes's two networks: from e4e's map of an image to what the generator's map of a code lacks.

Reference: Pehlivan et al., "StyleRes: Transforming the Residuals for Real Image Editing with StyleGAN", arXiv
2212.14359, section 3. Written from the paper and from the names and shapes of the released file's tensors, which the
parameters have here.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.feature_maps import check_map
from methods.generators.stylegan2 import Generator
from metrics.networks.irse import UNITS_50, WIDTHS, Shortcut, input_layer, residual_body


@dataclass(frozen=True)
class StyleResConfig:
    """The shape of StyleRes's networks. The defaults are the official ones, for a 1024 px generator.

    resolution: R, the side of the images that e4e sees. channels: of the generator's map that is changed. width: inner
    feature maps. units, widths: residual units and feature maps of e4e's first levels, up to the map that is read.
    """

    resolution: int = 256
    channels: int = 512
    width: int = 512
    units: tuple[int, ...] = UNITS_50[:2]
    widths: tuple[int, ...] = WIDTHS[:2]

    def __post_init__(self) -> None:
        if len(self.units) != len(self.widths):
            raise ValueError(f"expected as many units as widths, found {self.units} and {self.widths}")
        if self.side < 4 or log2(self.resolution) % 1:
            raise ValueError(
                f"resolution is a power of two, of at least 4 px after {len(self.units)} halvings, found "
                f"{self.resolution}"
            )

    @property
    def side(self) -> int:
        """Of e4e's map and of the generator's."""
        return self.resolution >> len(self.units)

    @property
    def layer(self) -> int:
        """k of the generator's map f[k]: the first of its side (`methods.feature_maps`)."""
        return 2 * int(log2(self.side // 4))

    def check(self, generator: Generator) -> None:
        """Raises ValueError where the generator has no such map."""
        check_map(self.layer, self.channels, generator)


class Residual(nn.Module):
    """conv, leaky ReLU, conv (with the stride), and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(outputs, outputs, 3, stride, 1)
        )
        self.shortcut_layer: nn.Module = nn.Identity()
        if inputs != outputs or stride > 1:
            self.shortcut_layer = nn.Sequential(Shortcut(inputs, outputs, stride))

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut_layer(x)
        return shortcut + self.res_layer(x)


def _chain(*widths: int, stride: int = 1) -> nn.Sequential:
    """Residual blocks from each width to the next; the first one has the stride."""
    return nn.Sequential(*(Residual(i, o, 1 if n else stride) for n, (i, o) in enumerate(pairwise(widths))))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class Alignment(nn.Module):
    """Compares e4e's map with the generator's, at three sides."""

    def __init__(self, config: StyleResConfig):
        super().__init__()
        width = config.width
        self.first_layer = nn.Conv2d(config.widths[-1] + config.channels, width, 1)
        self.conv1 = _chain(width, width)
        self.conv2 = _chain(width, width, width, stride=2)
        self.conv3 = _chain(width, width, width, stride=2)
        self.dconv1 = _chain(width, width, width)
        self.dconv2 = _chain(width, width, width)
        self.out_layer = nn.Conv2d(width, width, 1)

    def forward(self, encoded: Tensor, own: Tensor) -> Tensor:
        """[N, widths[-1], side, side] and [N, channels, side, side] -> [N, width, side, side]."""
        full = self.conv1(self.first_layer(torch.cat([encoded, own], dim=1)))
        half = self.conv2(full)
        x = self.dconv1(_doubled(self.conv3(half)) + half)
        merged: Tensor = self.out_layer(self.dconv2(_doubled(x) + full))
        return merged


class Extraction(nn.Module):
    """What the comparison says of the image, for any code to use."""

    def __init__(self, config: StyleResConfig):
        super().__init__()
        width = config.width
        self.first_layer = nn.Conv2d(width, width, 1)
        self.convs = _chain(width, width, width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, side, side] -> the same shape."""
        extracted: Tensor = self.convs(self.first_layer(x))
        return extracted


class Gates(nn.Module):
    """The residual, moved to where the generator's map at hand has its place, and how much of it is used there."""

    def __init__(self, config: StyleResConfig):
        super().__init__()
        width, half = config.width, config.width // 2
        self.down1 = nn.Conv2d(config.channels, half, 3, 1, 1)
        self.down2 = nn.Conv2d(width, width - half, 3, 1, 1)
        self.convs = _chain(width, width, width, config.channels)
        self.convs2 = _chain(width, width, width, 1)

    def forward(self, own: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [N, channels, side, side] and [N, width, side, side] -> change [N, channels, ...], gate [N, 1, ...]."""
        both = torch.cat([self.down1(own), self.down2(residual)], dim=1)
        return self.convs(both), torch.sigmoid(self.convs2(both))


class StyleResNetworks(nn.Module):
    """e4e's first levels, which stay as they are, and the networks behind them."""

    def __init__(self, config: StyleResConfig):
        super().__init__()
        self.shape = config
        levels: OrderedDict[str, nn.Module] = OrderedDict(
            input_layer=input_layer(3, config.widths[0]), body=residual_body(config.units, config.widths)
        )
        self.encoder = nn.Sequential(levels)
        self.alignment = Alignment(config)
        self.extraction = Extraction(config)
        self.gates = Gates(config)
        self.to(memory_format=torch.channels_last)  # the faster layout on a CPU

    def forward(self, images: Tensor, own: Tensor) -> Tensor:
        """What the generator's map at the code of an image lacks; an edit does not change it.

        Args:
            images: [N, 3, R, R] in [-1, 1].
            own: the generator's maps at their codes [N, channels, side, side].

        Returns:
            [N, width, side, side].
        """
        residual: Tensor = self.extraction(self.alignment(self.encoder(images), own))
        return residual

    def change(self, own: Tensor, residual: Tensor) -> Tensor:
        """What is added to the generator's maps at any code [N, channels, side, side], from what `forward` gave."""
        change, gate = self.gates(own, residual)
        return gate * change
