"""StyleGAN2's layers: linear ones, the blur, and modulated convolutions in the form that suits the device.

Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", arXiv 1912.04958. Names and shapes of
parameters are those of rosinality/stylegan2-pytorch (bef283a).

Tuned on a GPU, an image's styles go into filters of its own, and the blur is one 4x4 kernel, as in the released code.
On a CPU they scale the input and the output of one shared convolution, and the blur runs as two 1-D passes: equal by
linearity, and several times faster there. benchmarks/perf/README.md has both measured.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.generators.convolution import convolution, doubling_convolution

BINOMIAL = (1.0, 3.0, 3.0, 1.0)


class PixelNorm(nn.Module):
    """Scale each row of z to unit mean square."""

    def forward(self, z: Tensor) -> Tensor:
        return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate: stored weights are N(0, 1) / lr_mul, scaled when used."""

    def __init__(self, in_dim: int, out_dim: int, bias: float = 0.0, lr_mul: float = 1.0, activate: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_dim,), bias))
        self.lr_mul = lr_mul
        self.scale = lr_mul / sqrt(in_dim)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        out = F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
        return F.leaky_relu(out, 0.2) * sqrt(2) if self.activate else out


class Blur(nn.Module):
    """Depth-wise binomial low-pass filter. `kernel` is kept for the checkpoint layout and is read from it."""

    def __init__(self, gain: float, padding: tuple[int, int]):
        super().__init__()
        taps = torch.tensor(BINOMIAL) / sum(BINOMIAL)
        self.register_buffer("kernel", torch.outer(taps, taps) * gain)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cuda":
            return self.in_one_pass(x)
        # The kernel is an outer product of one vector with itself; sqrt of its diagonal is that vector.
        taps = self.kernel.diagonal().sqrt().flip(0).to(x.dtype)  # type: ignore[operator]
        channels, size = x.shape[1], len(taps)
        before, after = self.padding
        row = taps.view(1, 1, 1, size).expand(channels, 1, 1, size)
        column = taps.view(1, 1, size, 1).expand(channels, 1, size, 1)
        if before == after:
            x = F.conv2d(x, row, padding=(0, before), groups=channels)
            return F.conv2d(x, column, padding=(before, 0), groups=channels)
        x = F.pad(x, (before, after, before, after))
        return F.conv2d(F.conv2d(x, row, groups=channels), column, groups=channels)

    def in_one_pass(self, x: Tensor) -> Tensor:
        """As the released code; on a GPU two passes over the map cost more than the larger kernel."""
        before, after = self.padding
        kernel = self.kernel.to(x.dtype).flip((0, 1)).expand(x.shape[1], 1, -1, -1)  # type: ignore[operator]
        return F.conv2d(F.pad(x, (before, after, before, after)), kernel, groups=x.shape[1])


class Upsample(Blur):
    """Doubling of an RGB image: zeros between the samples, then the filter at gain 4."""

    def __init__(self) -> None:
        super().__init__(gain=4.0, padding=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = F.pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(n, c, 2 * h, 2 * w)
        return super().forward(x)


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by an affine map of w, optionally demodulated and doubled."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        w_dim: int,
        demod_eps: float | None,
        upsample: bool = False,
    ):
        super().__init__()
        self.scale = 1 / sqrt(in_channels * kernel**2)
        self.weight = nn.Parameter(torch.randn(1, out_channels, in_channels, kernel, kernel))
        if upsample:
            self.blur = Blur(gain=4.0, padding=(1, 1))
        self.modulation = EqualLinear(w_dim, in_channels, bias=1.0)
        self.demod_eps = demod_eps
        self.upsample = upsample

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        # Scaled maps have the faster backward pass where only codes get a gradient.
        codes_only = torch.is_grad_enabled() and not self.weight.requires_grad
        return self.by_filters(x, w) if x.device.type == "cuda" and not codes_only else self.by_maps(x, w)

    def by_maps(self, x: Tensor, w: Tensor) -> Tensor:
        """One convolution for all images, of maps that are scaled before and after it: faster on a CPU."""
        style = self.modulation(w)  # [N, I]
        weight = self.weight[0] * self.scale  # [O, I, k, k]
        x = x * style[:, :, None, None]
        x = self.blur(doubling_convolution(x, weight)) if self.upsample else convolution(x, weight)
        if self.demod_eps is None:
            return x
        energy = weight.square().sum(dim=(2, 3))  # [O, I]
        demodulation = torch.rsqrt(style.square() @ energy.t() + self.demod_eps)  # [N, O]
        return x * demodulation[:, :, None, None]

    def by_filters(self, x: Tensor, w: Tensor) -> Tensor:
        """As the released code: filters of its own for each image. Faster on a GPU."""
        n, inputs, height, width = x.shape
        weight = self.scale * self.weight * self.modulation(w)[:, None, :, None, None]  # [N, O, I, k, k]
        if self.demod_eps is not None:
            weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + self.demod_eps)
        outputs, k = weight.shape[1], weight.shape[-1]
        x = x.reshape(1, n * inputs, height, width)
        if self.upsample:
            shared = weight.transpose(1, 2).reshape(n * inputs, outputs, k, k)
            x = F.conv_transpose2d(x, shared, stride=2, groups=n)
            return self.blur.in_one_pass(x.reshape(n, outputs, *x.shape[2:]))
        x = F.conv2d(x, weight.reshape(n * outputs, inputs, k, k), padding=k // 2, groups=n)
        return x.reshape(n, outputs, *x.shape[2:])
