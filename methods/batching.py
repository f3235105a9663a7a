"""Batches of a fixed size, the last one padded.

On a CPU the last bits of a convolution depend on the size of the batch, and hundreds of steps of Adam amplify them. A
fixed size makes the result of an image the same whatever batch it came in. It costs a single image as much as a full
batch, so that photographs and `Pipeline` go without (`Method.pads`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def slices(count: int, size: int) -> list[slice]:
    """The parts of `count` items in batches of `size`; the last one may be shorter."""
    return [slice(first, first + size) for first in range(0, count, size)]


def padded(values: Tensor, size: int) -> Tensor:
    """Values [N, ...] and copies of the last one, [size, ...], contiguous.

    One memory layout: another one means other convolution kernels, and other last bits.
    """
    spare = size - len(values)
    return torch.cat([values, values[-1:].expand(spare, *values.shape[1:])]).contiguous()
