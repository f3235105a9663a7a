"""Images at the side of a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from datasets.images import resized


def middle(images: Tensor, size: Sequence[int]) -> Tensor:
    """The middle pixel rows of images [N, C, H, W], size[0] of them; W has to be size[1]."""
    height, width = size
    if images.shape[-1] != width or images.shape[-2] < height:
        raise ValueError(f"expected images of at least {height} rows, {width} px wide, found {list(images.shape)}")
    first = (images.shape[-2] - height) // 2
    return images[..., first : first + height, :]


def preprocessed(images: Tensor, side: int, wide: bool) -> Tensor:
    """Images as a network sees them: bilinear with antialiasing, as Pillow resizes for the official ones.

    Args:
        images: [N, C, H, W]; of the network's size they stay as they are.
        side: of the network.
        wide: it sees the middle three quarters of a square image's pixel rows (published networks of cars).

    Returns:
        [N, C, side, side], or [N, C, 3/4 side, side] of a wide network.
    """
    if not wide:
        return resized(images, side)
    if images.shape[-1] == images.shape[-2]:
        images = middle(images, (images.shape[-1] * 3 // 4, images.shape[-1]))
    return resized(images, side * 3 // 4, side)


def pooled(images: Tensor, side: int) -> Tensor:
    """Generator output at a network's side: area averages (`face_pool` of the official code)."""
    return images if images.shape[-2:] == (side, side) else F.adaptive_avg_pool2d(images, (side, side))
