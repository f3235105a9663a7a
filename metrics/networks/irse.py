"""IR-SE residual networks: the trunk that face recognition networks and StyleGAN encoders share.

Reference: Deng et al., ArcFace, arXiv 1801.07698 (IR units); Hu et al., Squeeze-and-Excitation, arXiv 1709.01507.
Names and shapes of parameters are those of TreB1eN/InsightFace_Pytorch@350ff7a and its descendants.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNITS_50, UNITS_100 = (3, 4, 14, 3), (3, 13, 30, 3)
WIDTHS = (64, 128, 256, 512)
VECTOR = 16  # numbers of the widest vector that a CPU multiplies (AVX-512, float32)


class SqueezeExcitation(nn.Module):
    """Channel attention from global means."""

    def __init__(self, width: int, reduction: int = 16):
        super().__init__()
        self.fc1 = nn.Conv2d(width, max(1, width // reduction), 1, bias=False)
        self.fc2 = nn.Conv2d(max(1, width // reduction), width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(squeezed))))


class Shortcut(nn.Conv2d):
    """Convolution 1x1 with a stride. With few channels the pixels are picked first: oneDNN's gradient of such a
    convolution writes outside its memory where the channels do not fill a vector (uxlfoundation/oneDNN, issue 6035).
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.in_channels >= VECTOR:
            return super().forward(x)
        return F.conv2d(x[..., :: self.stride[0], :: self.stride[1]], self.weight)


class ResidualUnit(nn.Module):
    """norm, conv, PReLU, conv (with the stride), norm, squeeze-excitation (IR-SE only), and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, excited: bool = True):
        super().__init__()
        self.shortcut_layer: nn.Module
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(Shortcut(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            *([SqueezeExcitation(outputs)] if excited else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


def input_layer(channels: int, width: int) -> nn.Sequential:
    """The first convolution, at full resolution."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))


def residual_body(units: Sequence[int], widths: Sequence[int], excited: bool = True) -> nn.Sequential:
    """All residual units; the first of each stage halves the side."""
    body: list[nn.Module] = []
    before = widths[0]
    for count, width in zip(units, widths, strict=True):
        body += [ResidualUnit(before if i == 0 else width, width, 2 if i == 0 else 1, excited) for i in range(count)]
        before = width
    return nn.Sequential(*body)
