"""Images at the side of a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def middle(images: Tensor, size: Sequence[int]) -> Tensor:
    """The middle pixel rows of images [N, C, H, W], size[0] of them; W has to be size[1]."""
    height, width = size
    if images.shape[-1] != width or images.shape[-2] < height:
        raise ValueError(f"expected images of at least {height} rows, {width} px wide, found {list(images.shape)}")
    first = (images.shape[-2] - height) // 2
    return images[..., first : first + height, :]


def pooled(images: Tensor, side: int) -> Tensor:
    """Generator output at a network's side: area averages (`face_pool` of the official code)."""
    return images if images.shape[-2:] == (side, side) else F.adaptive_avg_pool2d(images, (side, side))
