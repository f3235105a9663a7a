"""Whether a generator repeats its training images: distances to the nearest of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from methods.features import perceptual

BATCH = 50


@dataclass(frozen=True)
class Nearest:
    """LPIPS (AlexNet) to the nearest training image over a set of images: median and 5 % quantile."""

    median: float
    low: float


@torch.no_grad()
def nearest_training_image(images: Tensor, training: Tensor) -> Nearest:
    """How near images come to training images. Samples of a generator that copies come nearer than unseen photographs.

    Args:
        images: [N, 3, R, R] in [-1, 1].
        training: [M, 3, R, R] in [-1, 1], mirror images included.
    """
    ours, theirs = _features(images), _features(training)
    distances = torch.cat([torch.cdist(part, theirs).min(dim=1).values.square() for part in ours.split(BATCH)])
    low, median = distances.quantile(torch.tensor([0.05, 0.5])).tolist()
    return Nearest(median, low)


def _features(images: Tensor) -> Tensor:
    network = perceptual("lpips_alex").to(images)
    return torch.cat([network.features(part) for part in images.split(BATCH)])
