"""Trunk, style blocks and the feature pyramid: the parts that all encoders are built of.

Reference: Richardson et al., pSp, arXiv 2008.00951 (style blocks, pyramid); Alaluf et al., ReStyle, arXiv 2104.02699
(one map for all layers; a ResNet34 trunk where there are no faces). Names and shapes of parameters at the official
configuration are those of eladrich/pixel2style2pixel@5cfff38 and omertov/encoder4editing@99ea505.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock

from methods.generators.layers import EqualLinear
from metrics.networks.irse import UNITS_50, WIDTHS, Shortcut, input_layer, residual_body

COARSE, MIDDLE = 3, 7  # the first W+ layer that comes from the middle and from the fine level of a pyramid


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder. The defaults are the official IR-SE50 at 256 px for a 1024 px generator.

    channels: 3, or 6 for the encoders that also see the current reconstruction. units, widths: residual units and
    feature maps of the four levels, which end at a half, a quarter, an eighth and a sixteenth of the side. style_width:
    feature maps of a style block. trunk: "ir_se", or "resnet34" (ReStyle's for domains other than faces).
    """

    resolution: int = 256
    channels: int = 3
    num_ws: int = 18
    w_dim: int = 512
    units: tuple[int, ...] = UNITS_50
    widths: tuple[int, ...] = WIDTHS
    style_width: int = 512
    trunk: str = "ir_se"

    def __post_init__(self) -> None:
        if len(self.units) != 4 or len(self.widths) != 4:
            raise ValueError(f"an encoder has four levels, found units {self.units} and widths {self.widths}")
        if self.trunk not in ("ir_se", "resnet34"):
            raise ValueError(f"an encoder's trunk is 'ir_se' or 'resnet34', found {self.trunk!r}")
        if self.resolution < 32 or log2(self.resolution) % 1:
            raise ValueError(f"an encoder's resolution is a power of two of at least 32, found {self.resolution}")

    @property
    def coarsest(self) -> int:
        """Side of the last level's map."""
        return self.resolution // 16


class Trunk(nn.Module):
    """Images to feature maps; what follows is up to the encoder."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        if config.trunk == "ir_se":
            self.input_layer = input_layer(config.channels, config.widths[0])
            self.body = residual_body(config.units, config.widths)
        else:
            self.conv1 = nn.Conv2d(config.channels, config.widths[0], 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(config.widths[0])
            self.relu = nn.PReLU(config.widths[0])
            self.body = _resnet_body(config)

    def levels(self, x: Tensor) -> list[Tensor]:
        """Images [N, C, R, R] -> the last map of each of the four levels, sides R/2, R/4, R/8, R/16."""
        x = self.input_layer(x) if self.config.trunk == "ir_se" else self.relu(self.bn1(self.conv1(x)))
        ends, maps = [sum(self.config.units[: n + 1]) - 1 for n in range(4)], []
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in ends:
                maps.append(x)
        return maps


def _resnet_body(config: EncoderConfig) -> nn.Sequential:
    """ResNet's blocks; the first convolution has halved the side already, so that the first level does not."""
    body: list[nn.Module] = []
    before = config.widths[0]
    for level, (count, width) in enumerate(zip(config.units, config.widths, strict=True)):
        for unit in range(count):
            stride = 2 if level and not unit else 1
            narrow = None
            if stride > 1 or before != width:
                narrow = nn.Sequential(Shortcut(before, width, stride), nn.BatchNorm2d(width))
            body.append(BasicBlock(before, width, stride, narrow))
            before = width
    return nn.Sequential(*body)


class StyleBlock(nn.Module):
    """Stride-2 convolutions from a map of side `side` down to one vector, then a linear layer: one layer of W+."""

    def __init__(self, inputs: int, width: int, w_dim: int, side: int):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(int(log2(side))):
            layers += [nn.Conv2d(inputs if i == 0 else width, width, 3, 2, 1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class Pyramid(Trunk):
    """A feature pyramid; one style block a W+ layer: layers 0-2 coarse, 3-6 middle, the others fine."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        last, side = config.widths[3], config.coarsest
        sides = [side if n < COARSE else 2 * side if n < MIDDLE else 4 * side for n in range(config.num_ws)]
        self.styles = nn.ModuleList(StyleBlock(last, config.style_width, config.w_dim, s) for s in sides)
        self.latlayer1 = nn.Conv2d(config.widths[2], last, 1)
        self.latlayer2 = nn.Conv2d(config.widths[1], last, 1)

    def pyramid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images [N, C, R, R] -> pyramid maps of sides R/16, R/8, R/4."""
        _, fine, middle, coarse = self.levels(x)
        p2 = self._upsampled_plus(coarse, self.latlayer1(middle))
        return coarse, p2, self._upsampled_plus(p2, self.latlayer2(fine))

    @staticmethod
    def _upsampled_plus(coarse: Tensor, fine: Tensor) -> Tensor:
        return F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True) + fine

    def layer_features(self, x: Tensor) -> list[Tensor]:
        """For each W+ layer the map that it is read from."""
        coarse, middle, fine = self.pyramid(x)
        return [coarse if n < COARSE else middle if n < MIDDLE else fine for n in range(self.config.num_ws)]


class Flat(Trunk):
    """The last map feeds all style blocks (ReStyle's simplified encoder)."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        self.styles = nn.ModuleList(
            StyleBlock(config.widths[3], config.style_width, config.w_dim, config.coarsest)
            for _ in range(config.num_ws)
        )

    def layer_features(self, x: Tensor) -> list[Tensor]:
        """For each W+ layer the map that it is read from."""
        return [self.levels(x)[-1]] * self.config.num_ws


class SingleCode(Trunk):
    """One code for all layers, from the means of the last map: the W encoders of pSp, e4e and HyperStyle."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        self.linear = EqualLinear(config.widths[3], config.w_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, R, R] -> offsets [N, num_ws, w_dim], all layers equal."""
        code = self.linear(self.levels(x)[-1].mean(dim=(2, 3)))
        return code[:, None].expand(-1, self.config.num_ws, -1)


class JointCode(Trunk):
    """All layers at once by one linear layer (pSp's ablation "naive W+")."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        last = config.widths[3]
        self.output_layer_2 = nn.Sequential(
            nn.BatchNorm2d(last), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(last * 49, config.w_dim)
        )
        self.linear = EqualLinear(config.w_dim, config.w_dim * config.num_ws)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, R, R] -> offsets [N, num_ws, w_dim]."""
        code = self.output_layer_2(self.levels(x)[-1])
        return self.linear(code).reshape(len(x), self.config.num_ws, self.config.w_dim)


Network = Pyramid | Flat | SingleCode | JointCode


def independent_layers(encoder: Network, images: Tensor) -> Tensor:
    """pSp: every W+ layer from its own style block. [N, C, R, R] -> [N, num_ws, w_dim], an offset from the mean."""
    if isinstance(encoder, SingleCode | JointCode):
        codes: Tensor = encoder(images)
        return codes
    features = encoder.layer_features(images)
    return torch.stack([style(x) for style, x in zip(encoder.styles, features, strict=True)], dim=1)


def base_and_deltas(encoder: Network, images: Tensor, num_deltas: int | None = None) -> Tensor:
    """e4e: layer 0 is w, every other layer w plus its own delta (arXiv 2102.02766, section 4).

    num_deltas: how many layers after the first have a delta (progressive training); None for all.
    """
    if isinstance(encoder, SingleCode | JointCode):
        raise TypeError(f"{type(encoder).__name__} has no deltas")
    count = encoder.config.num_ws
    num_deltas = count - 1 if num_deltas is None else min(num_deltas, count - 1)
    features = encoder.layer_features(images)
    base = encoder.styles[0](features[0])
    others = [base + encoder.styles[n](features[n]) if n <= num_deltas else base for n in range(1, count)]
    return torch.stack([base, *others], dim=1)
