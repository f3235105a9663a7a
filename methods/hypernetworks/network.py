"""HyperStyle's hypernetwork: an image and its reconstruction to relative changes of the generator's convolutions.

Reference: Alaluf et al., "HyperStyle: StyleGAN Inversion with HyperNetworks for Real Image Editing", arXiv 2111.15666,
section 3; yuval-alaluf/hyperstyle@21193fb models/hypernetworks. Names and shapes of parameters are those of its files.
Layers whose width is the generator's widest share one pair of matrices, which each reaches by a code of its own and
which tells every weight apart; any other layer has a head of its own, which changes a kernel as a whole or, where heads
are separable, makes the change as an outer product over inputs and outputs at every place of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log2

import torch
from torch import Tensor, nn

from methods.encoders.networks import EncoderConfig, Trunk
from methods.generators.layers import EqualLinear
from methods.resizing import middle, preprocessed

RESNET34 = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
STEPS = 5  # refinement steps: T of the paper, and the default of the authors' inference
KERNEL = 3  # of every convolution but those to RGB


@dataclass(frozen=True)
class Layer:
    """A convolution of the generator, by the authors' number and by the name of its weight [1, O, I, k, k]."""

    index: int
    parameter: str
    inputs: int
    outputs: int

    @property
    def to_rgb(self) -> bool:
        return self.index % 3 == 1

    @property
    def kernel(self) -> int:
        """Its side k."""
        return 1 if self.to_rgb else KERNEL


def layers_of(channels: tuple[int, ...]) -> list[Layer]:
    """All convolutions of a generator with these widths at 4, 8, ... px: 26 at 1024 px, 23 at 512, 20 at 256.

    The order is that of synthesis: two convolutions a level (one at 4 px), then the level's RGB layer.
    """
    layers = [("conv1", channels[0], channels[0]), ("to_rgb1", channels[0], 3)]
    for level, (before, width) in enumerate(pairwise(channels)):
        layers += [
            (f"convs.{2 * level}", before, width),
            (f"convs.{2 * level + 1}", width, width),
            (f"to_rgbs.{level}", width, 3),
        ]
    return [Layer(n, f"{name}.conv.weight", i, o) for n, (name, i, o) in enumerate(layers)]


@dataclass(frozen=True)
class HypernetConfig:
    """The shape of a hypernetwork. The defaults are the official one's at 256 px, for a 1024 px generator.

    channels: the generator's feature maps at 4, 8, ... px. layers: numbers of the layers it changes, all but those to
    RGB when empty. units, widths: residual blocks and feature maps of the trunk's four levels. shared_width, own_width:
    feature maps inside the two kinds of heads. code: length of what the matrices are reached by. separable: whether
    heads of a layer's own make outer products (SharedWeightsHyperNetResNetSeparable).
    """

    channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    layers: tuple[int, ...] = ()
    resolution: int = 256
    units: tuple[int, ...] = RESNET34
    widths: tuple[int, ...] = WIDTHS
    shared_width: int = 128
    own_width: int = 256
    code: int = 512
    separable: bool = False

    def __post_init__(self) -> None:
        known = len(layers_of(self.channels))
        wrong = [n for n in self.layers if not 0 <= n < known]
        if wrong:
            raise ValueError(f"a generator with channels {self.channels} has layers 0 to {known - 1}, found {wrong}")

    @property
    def tuned(self) -> list[Layer]:
        """The layers that are changed."""
        every = layers_of(self.channels)
        return [every[n] for n in self.layers] if self.layers else [layer for layer in every if not layer.to_rgb]

    def shares(self, layer: Layer) -> bool:
        """Whether a layer is one of those that share their matrices."""
        return not layer.to_rgb and layer.inputs == layer.outputs == self.channels[0]

    @property
    def side(self) -> int:
        """Of the trunk's last map."""
        return self.resolution // 16


class SharedMatrices(nn.Module):
    """A code [N, code] to a change of every weight of a square convolution [N, C, C, 3, 3]."""

    def __init__(self, code: int, width: int):
        super().__init__()
        self.code, self.width = code, width
        self.w1 = nn.Parameter(torch.randn(code, width * KERNEL**2) / 40)
        self.b1 = nn.Parameter(torch.randn(width * KERNEL**2) / 40)
        self.w2 = nn.Parameter(torch.randn(code, width * code) / 40)
        self.b2 = nn.Parameter(torch.randn(width * code) / 40)

    def forward(self, codes: Tensor) -> Tensor:
        own = (codes @ self.w2 + self.b2).view(-1, self.width, self.code)  # a code for every output channel
        return (own @ self.w1 + self.b1).view(-1, self.width, self.width, KERNEL, KERNEL)


def _narrowing(inputs: int, inner: int, outputs: int, strides: list[int]) -> nn.Sequential:
    """Convolutions 3x3, one a stride, each with a leaky ReLU; the last one has the outputs' width."""
    widths = [inputs, *[inner] * (len(strides) - 1), outputs]
    parts: list[nn.Module] = []
    for before, after, stride in zip(widths[:-1], widths[1:], strides, strict=True):
        parts += [nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU()]
    return nn.Sequential(*parts)


class SharedHead(nn.Module):
    """The trunk's map to a code, which the shared matrices turn into a layer's change."""

    def __init__(self, config: HypernetConfig, matrices: SharedMatrices):
        super().__init__()
        strides = [1] + [2] * int(log2(config.side))
        self.convs = _narrowing(config.widths[-1], config.shared_width, config.code, strides)
        self.linear = EqualLinear(config.code, config.code)
        self.hypernet = matrices  # named in every head's part of a file, one and the same

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, side, side] -> [N, O, I, 3, 3]."""
        change: Tensor = self.hypernet(self.linear(self.convs(x).flatten(1)))
        return change


class OuterProduct(nn.Module):
    """A code [N, code, 1, 1] to a layer's change [N, O, I, k, k]: at each place of the kernel a vector over the inputs
    times one over the outputs, mixed over the inputs, then over the outputs.
    """

    def __init__(self, code: int, layer: Layer):
        super().__init__()
        self.layer = layer
        self.make_kernel_in = nn.Linear(code, layer.kernel**2 * layer.inputs)
        self.make_kernel_out = nn.Linear(code, layer.kernel**2 * layer.outputs)
        self.kernel_linear_in = nn.Linear(layer.inputs, layer.inputs)
        self.kernel_linear_out = nn.Linear(layer.outputs, layer.outputs)

    def forward(self, x: Tensor) -> Tensor:
        codes, k = x.flatten(1), self.layer.kernel
        inputs = self.make_kernel_in(codes).view(-1, k, k, 1, self.layer.inputs)
        outputs = self.make_kernel_out(codes).view(-1, k, k, self.layer.outputs, 1)
        change = self.kernel_linear_in(outputs * inputs)  # [N, k, k, O, I]
        change = self.kernel_linear_out(change.transpose(-1, -2))  # [N, k, k, I, O]
        return change.permute(0, 4, 3, 1, 2)


class OwnHead(nn.Module):
    """The trunk's map to a layer's change: the same at all places of a kernel, unless heads are separable."""

    def __init__(self, config: HypernetConfig, layer: Layer):
        super().__init__()
        self.layer = layer
        levels = int(log2(config.side))
        # A last map of 1x1; else one of 2x2, which is averaged.
        narrow = layer.to_rgb or config.separable
        count = levels if narrow else max(2, levels - 1)
        self.convs = _narrowing(config.widths[-1], config.own_width, config.code, [2] * count)
        last: nn.Module = nn.Conv2d(config.code, layer.inputs * layer.outputs, 1)
        if config.separable:
            last = OuterProduct(config.code, layer)
        self.output = nn.Sequential(last) if narrow else nn.Sequential(nn.AdaptiveAvgPool2d(1), last)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, side, side] -> [N, O, I, 1, 1], or [N, O, I, k, k] of a separable head."""
        change: Tensor = self.output(self.convs(x))
        return change.reshape(len(x), self.layer.outputs, self.layer.inputs, *change.shape[-2:])


class Hypernetwork(Trunk):
    """A ResNet34 without its pooling, and a head for each layer that is changed.

    wide: it sees the middle three quarters of a square image's pixel rows (published files of cars).
    """

    wide = False

    def __init__(self, config: HypernetConfig):
        super().__init__(
            EncoderConfig(config.resolution, channels=6, units=config.units, widths=config.widths, trunk="resnet34")
        )
        self.shape = config
        self.shared_weight_hypernet = SharedMatrices(config.code, config.channels[0])
        self.refinement_blocks = nn.ModuleDict(
            {
                str(layer.index): SharedHead(config, self.shared_weight_hypernet)
                if config.shares(layer)
                else OwnHead(config, layer)
                for layer in config.tuned
            }
        )

    def preprocess(self, images: Tensor) -> Tensor:
        """Images as the network sees them."""
        return preprocessed(images, self.shape.resolution, self.wide)

    def forward(self, images: Tensor, current: Tensor) -> dict[str, Tensor]:
        """Photographs and their reconstructions, [N, 3, S, S] each, about [-1, 1] -> changes by a weight's name.

        Of a wide network the photographs are [N, 3, 3/4 S, S]; it sees these middle rows of the reconstructions, too.
        A change broadcasts over the weight [1, O, I, k, k]: it is [N, O, I, k, k] or [N, O, I, 1, 1].
        """
        x = self.levels(torch.cat([images, middle(current, images.shape[-2:])], dim=1))[-1]
        return {layer.parameter: self.refinement_blocks[str(layer.index)](x) for layer in self.shape.tuned}
