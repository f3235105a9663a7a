"""IR-SE residual network, style blocks and the feature pyramid: the parts that all encoders are built of.

Reference: Deng et al., ArcFace, arXiv 1801.07698 (IR units); Hu et al., Squeeze-and-Excitation, arXiv 1709.01507;
Richardson et al., pSp, arXiv 2008.00951 (style blocks, pyramid). Names and shapes of parameters at the official
configuration are those of eladrich/pixel2style2pixel@5cfff38 and omertov/encoder4editing@99ea505.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.generators.stylegan2 import EqualLinear

COARSE, MIDDLE = 3, 7  # the first row of W+ that comes from the middle and from the fine level of a pyramid


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder. The defaults are the official IR-SE50 at 256 px for a 1024 px generator.

    channels: 3, or 6 for the encoders that also see the current reconstruction. units, widths: residual units and
    feature maps of the four stages, each of which halves the side. style_width: feature maps of a style block.
    """

    resolution: int = 256
    channels: int = 3
    num_ws: int = 18
    w_dim: int = 512
    units: tuple[int, ...] = (3, 4, 14, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    style_width: int = 512

    def __post_init__(self) -> None:
        if len(self.units) != 4 or len(self.widths) != 4:
            raise ValueError(f"an encoder has four stages, found units {self.units} and widths {self.widths}")
        if self.resolution < 32 or log2(self.resolution) % 1:
            raise ValueError(f"an encoder's resolution is a power of two of at least 32, found {self.resolution}")

    @property
    def coarsest(self) -> int:
        """Side of the last stage's map."""
        return self.resolution // 16


class SqueezeExcitation(nn.Module):
    """Channels weighed by what the whole map says."""

    def __init__(self, width: int, reduction: int = 16):
        super().__init__()
        self.fc1 = nn.Conv2d(width, max(1, width // reduction), 1, bias=False)
        self.fc2 = nn.Conv2d(max(1, width // reduction), width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(squeezed))))


class ResidualUnit(nn.Module):
    """norm, conv, PReLU, conv (with the stride), norm, squeeze-excitation, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.shortcut_layer: nn.Module
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcitation(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


def input_layer(channels: int, width: int) -> nn.Sequential:
    """The first convolution, at full resolution."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))


def residual_body(config: EncoderConfig) -> nn.Sequential:
    """All residual units; the first of each stage halves the side."""
    units: list[nn.Module] = []
    before = config.widths[0]
    for count, width in zip(config.units, config.widths, strict=True):
        units += [ResidualUnit(before if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
        before = width
    return nn.Sequential(*units)


class StyleBlock(nn.Module):
    """Stride-2 convolutions from a map of side `side` down to one vector, then a linear layer: one row of W+."""

    def __init__(self, inputs: int, width: int, w_dim: int, side: int):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(int(log2(side))):
            layers += [nn.Conv2d(inputs if i == 0 else width, width, 3, 2, 1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class Pyramid(nn.Module):
    """IR-SE body with a feature pyramid; one style block a row: rows 0-2 coarse, 3-6 middle, the others fine."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.input_layer = input_layer(config.channels, config.widths[0])
        self.body = residual_body(config)
        last, side = config.widths[3], config.coarsest
        sides = [side if row < COARSE else 2 * side if row < MIDDLE else 4 * side for row in range(config.num_ws)]
        self.styles = nn.ModuleList(StyleBlock(last, config.style_width, config.w_dim, s) for s in sides)
        self.latlayer1 = nn.Conv2d(config.widths[2], last, 1)
        self.latlayer2 = nn.Conv2d(config.widths[1], last, 1)

    def levels(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images [N, C, R, R] -> pyramid maps of sides R/16, R/8, R/4."""
        first, second, third, _ = self.config.units
        ends = (first + second - 1, first + second + third - 1)
        kept = []
        x = self.input_layer(x)
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in ends:
                kept.append(x)
        fine, middle = kept
        p2 = self._upsampled_plus(x, self.latlayer1(middle))
        return x, p2, self._upsampled_plus(p2, self.latlayer2(fine))

    @staticmethod
    def _upsampled_plus(coarse: Tensor, fine: Tensor) -> Tensor:
        return F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True) + fine

    def row_features(self, x: Tensor) -> list[Tensor]:
        """For each row of W+ the map that it is read from."""
        coarse, middle, fine = self.levels(x)
        rows = range(self.config.num_ws)
        return [coarse if row < COARSE else middle if row < MIDDLE else fine for row in rows]


class Flat(nn.Module):
    """IR-SE body whose last map feeds all style blocks (ReStyle's simplified encoder)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.input_layer = input_layer(config.channels, config.widths[0])
        self.body = residual_body(config)
        rows = range(config.num_ws)
        self.styles = nn.ModuleList(
            StyleBlock(config.widths[3], config.style_width, config.w_dim, config.coarsest) for _ in rows
        )

    def row_features(self, x: Tensor) -> list[Tensor]:
        """For each row of W+ the map that it is read from."""
        return [self.body(self.input_layer(x))] * self.config.num_ws


def independent_rows(encoder: Pyramid | Flat, images: Tensor) -> Tensor:
    """pSp: every row of W+ from its own style block. [N, C, R, R] -> [N, num_ws, w_dim], an offset from the mean."""
    features = encoder.row_features(images)
    return torch.stack([style(x) for style, x in zip(encoder.styles, features, strict=True)], dim=1)


def base_and_deltas(encoder: Pyramid | Flat, images: Tensor, stage: int | None = None) -> Tensor:
    """e4e: row 0 is w, every other row w plus its own delta (arXiv 2102.02766, section 4).

    stage: rows 1 to `stage` have a delta (progressive training); None for all.
    """
    rows = encoder.config.num_ws
    stage = rows - 1 if stage is None else min(stage, rows - 1)
    features = encoder.row_features(images)
    base = encoder.styles[0](features[0])
    others = [base + encoder.styles[row](features[row]) if row <= stage else base for row in range(1, rows)]
    return torch.stack([base, *others], dim=1)
