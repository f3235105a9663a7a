"""StyleGAN2's residual discriminator, at any small width.

Reference: Karras et al., arXiv 1912.04958, section 4 and appendix B: residual blocks, binomial low-pass before
each halving, minibatch standard deviation before the last layers.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.checkpoints import describe, fill, part, read_safetensors, reading
from methods.generators.layers import Blur, EqualLinear

# Feature maps by the side of the maps; the last width holds for all finer ones.
CHANNELS = {4: 192, 8: 192, 16: 96, 32: 48, 64: 32, 128: 16}


class EqualConv(nn.Module):
    """Convolution with equalised learning rate; stride 2 comes after the low-pass filter."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, down: bool = False, activate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if activate else None
        self.scale = 1 / sqrt(in_channels * kernel**2)
        self.kernel, self.down = kernel, down
        if down:
            self.blur = Blur(gain=1.0, padding=(2, 2) if kernel == 3 else (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        x = self.blur(x) if self.down else x
        x = F.conv2d(x, weight, stride=2) if self.down else F.conv2d(x, weight, padding=self.kernel // 2)
        return x if self.bias is None else F.leaky_relu(x + self.bias[:, None, None], 0.2) * sqrt(2)


class Stem(nn.Module):
    """RGB at R to `channels` maps at R/2."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, 3, 4, 4))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, images: Tensor) -> Tensor:
        x = F.conv2d(images, self.weight / sqrt(48), stride=2, padding=1)
        return F.leaky_relu(x + self.bias[:, None, None], 0.2) * sqrt(2)


class _ResidualBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv0 = EqualConv(in_channels, in_channels, 3)
        self.conv1 = EqualConv(in_channels, out_channels, 3, down=True)
        self.skip = EqualConv(in_channels, out_channels, 1, down=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv1(self.conv0(x)) + self.skip(x)) / sqrt(2)


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """Append one map: the mean standard deviation over groups of the batch. x [N, C, H, W] -> [N, C + 1, H, W]."""
    n, c, h, w = x.shape
    size = min(group, n)
    while n % size:
        size -= 1
    deviation = x.reshape(size, -1, c, h, w).var(dim=0, unbiased=False).add(1e-8).sqrt().mean(dim=(1, 2, 3))
    return torch.cat([x, deviation.repeat(size)[:, None, None, None].expand(n, 1, h, w)], dim=1)


class Discriminator(nn.Module):
    """Images [N, 3, R, R] in [-1, 1] -> logits [N]. channels: feature maps at R/2, R/4, ..., 4.

    Deviation: the first layer is a 4x4 convolution of stride 2 instead of a 1x1 one, so that no block works at
    full resolution; that halves the cost of a training step on a CPU.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        self.resolution = 4 * 2 ** len(channels)
        self.from_rgb = Stem(channels[0])
        self.blocks = nn.Sequential(*(_ResidualBlock(a, b) for a, b in pairwise(channels)))
        last = channels[-1]
        self.conv = EqualConv(last + 1, last, 3)
        self.linear = EqualLinear(last * 16, last, activate=True)
        self.out = EqualLinear(last, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv(minibatch_deviation(self.blocks(self.from_rgb(images))))
        return self.out(self.linear(x.flatten(1))).flatten()


def discriminator_channels(resolution: int, width: float = 1.0) -> tuple[int, ...]:
    """Feature maps at half the resolution and below; width: factor of all."""
    sides = [resolution >> n for n in range(1, resolution.bit_length() - 2)]
    return tuple(round(CHANNELS.get(side, CHANNELS[128]) * width) for side in sides)


def load_discriminator(path: Path) -> Discriminator:
    """The discriminator in a state that a generator's training left (`GeneratorTraining.save_state`).

    Raises FileNotFoundError, or ValueError that names the file and what was found.
    """
    stored, _ = read_safetensors(path)
    state = part(stored, "discriminator.")
    if "from_rgb.weight" not in state:
        raise ValueError(f"{path}: no state of a generator's training; found {describe(stored)}")
    with reading(path, "discriminator"):
        blocks = [state[f"blocks.{n}.conv1.weight"] for n in range(len(state)) if f"blocks.{n}.conv1.weight" in state]
        network = Discriminator((len(state["from_rgb.weight"]), *(len(weight) for weight in blocks)))
        fill(path, network, state)
    return network
