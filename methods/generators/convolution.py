"""Convolutions of wide maps on a CPU, by matrix products: the 3x3 convolution and the one that doubles the side.

Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308 (Winograd's
F(4x4, 3x3): a quarter of the multiplications, and about 3e-6 of relative error in float32). PyTorch's own kernels are
as good where maps are narrow or small, and far slower in the backward pass of wide channels-last maps;
`benchmarks.perf.official` measures both. On other devices, and in float64, PyTorch's are used.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

WIDE = 128  # maps; narrower ones are no faster so
SIDE = 32  # px, of the 3x3 convolution: below it, transforming the filters costs more than is won
SIDE_UP = 8  # px, before doubling

# Lavin and Gray's matrices of F(4, 3): of the input, the filter and the output.
INPUT = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
         (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))  # fmt: skip
FILTER = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
          (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def convolution(x: Tensor, weight: Tensor) -> Tensor:
    """Convolution of odd kernel with zeros around the map: [N, I, H, W] and [O, I, k, k] -> [N, O, H, W]."""
    if not _wide(x, weight, SIDE) or x.shape[2] % 4 or x.shape[3] % 4:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    (n, inputs, height, width), outputs = x.shape, len(weight)
    filters, tiles, out = (matrix.to(x) for matrix in _matrices())
    u = (filters @ weight.permute(2, 3, 0, 1).reshape(9, -1)).view(36, outputs, inputs)
    around = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    v = (tiles @ Windows.apply(around, 6, 4).reshape(36, -1)).view(36, -1, inputs)
    y = (out @ torch.bmm(v, u.transpose(1, 2)).view(36, -1)).view(4, 4, n, height // 4, width // 4, outputs)
    return y.permute(2, 3, 0, 4, 1, 5).reshape(n, height, width, outputs).permute(0, 3, 1, 2)


def doubling_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """Transposed convolution of stride 2: [N, I, H, W] and [O, I, 3, 3] -> [N, O, 2 H + 1, 2 W + 1]."""
    if not _wide(x, weight, SIDE_UP):
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    (n, inputs, height, width), outputs = x.shape, len(weight)
    spread = x.permute(0, 2, 3, 1).reshape(-1, inputs) @ weight.permute(1, 2, 3, 0).reshape(inputs, -1)
    patches = spread.view(n, height, width, 3, 3, outputs).permute(3, 4, 0, 1, 2, 5)
    return Sum.apply(patches, 2).permute(0, 3, 1, 2)


def _wide(x: Tensor, weight: Tensor, side: int) -> bool:
    fits = x.device.type == "cpu" and x.dtype == torch.float32 and weight.shape[-1] == 3
    return fits and min(weight.shape[:2]) >= WIDE and min(x.shape[2:]) >= side


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Of the filters [36, 9], the input [36, 36] and the output [16, 36]: each acts on rows and on columns."""
    with torch.inference_mode(False):
        one = [torch.tensor(rows, dtype=torch.float64) for rows in (FILTER, INPUT, OUTPUT)]
        filters, tiles, out = (torch.kron(matrix, matrix) for matrix in one)
    return filters, tiles, out


def _windows(x: Tensor, size: int, stride: int) -> Tensor:
    """Overlapping windows of a map [N, H, W, C], their places first: [size, size, N, h, w, C], a view."""
    return x.unfold(1, size, stride).unfold(2, size, stride).permute(4, 5, 0, 1, 2, 3)


def _sum(windows: Tensor, stride: int) -> Tensor:
    """The map whose windows these are, where they overlap their sum: the adjoint of `_windows`."""
    size, _, n, h, w, c = windows.shape
    x = windows.new_zeros(n, size + stride * (h - 1), size + stride * (w - 1), c)
    for i in range(size):
        for j in range(size):
            x[:, i : i + stride * (h - 1) + 1 : stride, j : j + stride * (w - 1) + 1 : stride] += windows[i, j]
    return x


class Windows(torch.autograd.Function):
    """`_windows` as a copy, with the fast adjoint as its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, size: int, stride: int) -> Tensor:
        return _windows(x, size, stride).contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.stride = inputs[2]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return Sum.apply(gradient, ctx.stride), None, None


class Sum(torch.autograd.Function):
    """`_sum`, with windows as its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(windows: Tensor, stride: int) -> Tensor:
        return _sum(windows, stride)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.size, ctx.stride = inputs[0].shape[0], inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return Windows.apply(gradient, ctx.size, ctx.stride), None
