"""Distances on the interest region of the target and outside it."""

from __future__ import annotations

from torch import Tensor


def masked_mse(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """sum m (x - y)^2 / (C sum m) of each image: [N, C, H, W] twice and m [N, 1, H, W] in [0, 1] -> [N].

    NaN where the mask is empty: a mean over nothing. Leave such images out of a loss.
    """
    weighted = mask * (images - targets).square()
    return weighted.flatten(1).sum(dim=1) / (images.shape[1] * mask.flatten(1).sum(dim=1))


def masked_mse_code(images: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """mean (m x - m y)^2 over all channels and pixels of each image -> [N]: not divided by the mask's area.

    The released code's form (seungjun-moon/interestyle, training/coach_restyle_psp.py): faces that fill less of
    the image weigh less, and a soft mask counts squared.
    """
    return (mask * (images - targets)).square().flatten(1).mean(dim=1)
