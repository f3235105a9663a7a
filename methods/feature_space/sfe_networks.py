"""One trunk that gives a code and a map of the generator, and networks that change the map.

References: Yao et al., "A Style-Based GAN Encoder for High Fidelity Reconstruction of Images and Videos" (Feature-Style
Encoder), arXiv 2202.02183; Bobkov et al., StyleFeatureEditor, arXiv 2406.10601. Names and shapes of parameters at the
official configuration are those of ControlGenAI/StyleFeatureEditor@00996c3.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log2, prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.generators.stylegan2 import Generator
from metrics.networks.irse import UNITS_50, WIDTHS, Shortcut, input_layer


@dataclass(frozen=True)
class TrunkConfig:
    """The shape of a trunk. The defaults are StyleFeatureEditor's at 256 px, for a 1024 px generator.

    maps: channels of the generator's map. units, widths, strides: of the four stages. content, content_stride: inner
    channels of the layer behind the third stage, and the stride of its second convolution. pool: each stage is averaged
    to so many values a side for the codes.
    """

    resolution: int = 256
    num_ws: int = 18
    w_dim: int = 512
    maps: int = 512
    units: tuple[int, ...] = UNITS_50
    widths: tuple[int, ...] = WIDTHS
    strides: tuple[int, ...] = (2, 2, 1, 2)
    content: int = 512
    content_stride: int = 1
    pool: int = 3

    def __post_init__(self) -> None:
        found = (self.units, self.widths, self.strides)
        if any(len(each) != 4 for each in found):
            raise ValueError(f"a trunk has four stages, found units, widths and strides {found}")
        if min(*self.strides, self.content_stride, self.pool) < 1 or self.side < 4 or log2(self.side) % 1:
            raise ValueError(f"its map would have {self.side} px a side, expected a power of two of at least 4")

    @property
    def side(self) -> int:
        """Of the map, in px."""
        return self.resolution // (prod(self.strides[:3]) * self.content_stride)

    @property
    def layer(self) -> int:
        """k of the generator's map f[k] that the map stands for: the second of its side (`methods.feature_maps`)."""
        return 2 * int(log2(self.side // 4)) + 1


class Unit(nn.Module):
    """A residual unit of ArcFace's iresnet: norm, conv, norm, PReLU, conv (with the stride), norm, and a shortcut.

    first: of its stage, whose shortcut has a convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, first: bool):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if first:
            self.downsample = nn.Sequential(Shortcut(inputs, outputs, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.downsample(x)
        return self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x)))))) + shortcut


def _stage(inputs: int, width: int, stride: int, count: int) -> nn.Sequential:
    units = [Unit(width if n else inputs, width, 1 if n else stride, first=not n) for n in range(count)]
    return nn.Sequential(*units)


class Trunk(nn.Module):
    """Images to offsets of codes from the mean of W, and to a map."""

    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.shape = config
        widths, inner = config.widths, config.content
        self.conv = input_layer(3, widths[0])
        stages = zip(pairwise((widths[0], *widths)), config.strides, config.units, strict=True)
        for n, ((inputs, width), stride, count) in enumerate(stages, 1):
            self.add_module(f"block_{n}", _stage(inputs, width, stride, count))
        self.content_layer = nn.Sequential(
            nn.BatchNorm2d(widths[2]),
            nn.Conv2d(widths[2], inner, 3, 1, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, config.maps, 3, config.content_stride, 1, bias=False),
            nn.BatchNorm2d(config.maps),
        )
        pooled = sum(widths) * config.pool**2
        self.styles = nn.ModuleList(nn.Linear(pooled, config.w_dim) for _ in range(config.num_ws))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images [N, 3, R, R] -> offsets [N, num_ws, w_dim], map [N, maps, side, side].

        Images of another side than the network's are resized, bilinear without antialiasing, as the authors do.
        """
        side = self.shape.resolution
        if images.shape[-2:] != (side, side):
            images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
        x, stages = self.conv(images), []
        for n in range(1, 5):
            x = self.get_submodule(f"block_{n}")(x)
            stages.append(x)
        means = torch.cat([F.adaptive_avg_pool2d(stage, self.shape.pool) for stage in stages], dim=1).flatten(1)
        return torch.stack([style(means) for style in self.styles], dim=1), self.content_layer(stages[2])


@dataclass(frozen=True)
class SfeConfig(TrunkConfig):
    """The shape of StyleFeatureEditor's networks. blocks, hidden: residual blocks of fuser and editor, and their inner
    channels.
    """

    blocks: int = 5
    hidden: int = 512


class Block(nn.Module):
    """norm, conv, norm, PReLU, conv, norm, added to what comes in."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, inner, 3, 1, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Merging(nn.Module):
    """Two maps to one: the fuser and the feature editor."""

    def __init__(self, config: SfeConfig):
        super().__init__()
        self.conv = nn.Conv2d(2 * config.maps, config.maps, 1)
        self.body = nn.Sequential(*(Block(config.maps, config.hidden) for _ in range(config.blocks)))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Maps [N, maps, side, side] -> [N, maps, side, side]."""
        merged: Tensor = self.body(self.conv(torch.cat([first, second], dim=1)))
        return merged


class Inverter(nn.Module):
    """Images to a code, and to a map that is fused of the network's own and of the generator's at that code."""

    def __init__(self, config: SfeConfig):
        super().__init__()
        self.fs_backbone = Trunk(config)
        self.fuser = Merging(config)

    def forward(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images [N, 3, R, R] -> codes [N, num_ws, w_dim], the generator's map at them, the fused map."""
        offsets, predicted = self.fs_backbone(images)
        codes = offsets + generator.w_mean
        own = generator.feature_map(codes, self.fs_backbone.shape.layer)
        return codes, own, self.fuser(predicted, own)


class Sfe(nn.Module):
    """StyleFeatureEditor: the inverter, and the editor of its maps."""

    def __init__(self, config: SfeConfig):
        super().__init__()
        self.shape = config
        self.inverter = Inverter(config)
        self.editor = Merging(config)


def check_entry(config: TrunkConfig, generator: Generator) -> None:
    """Raises ValueError where a trunk's code or map is not of a generator's shape."""
    levels = generator.config.channels
    level = (config.layer - 1) // 2
    found = (config.num_ws, config.w_dim, config.maps)
    wanted = (generator.num_ws, generator.w_dim, levels[level] if level < len(levels) else 0)
    if found != wanted:
        raise ValueError(
            f"made for a generator of {found[0]} layers, codes of {found[1]} numbers and {found[2]} maps at "
            f"{config.side} px, this one has {wanted[0]}, {wanted[1]} and {wanted[2]}"
        )
