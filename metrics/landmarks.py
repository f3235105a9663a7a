"""Five landmarks of aligned faces, found once for whatever measures them: regions and attributes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets import alignment
from datasets.training_faces import ALIGNED_BOX

FRAME_SIDE = 64  # the side at which O-Net looks: ALIGNED_BOX is in its pixels
LANES = 16  # images that O-Net sees at once, always (the rest is padding), so that no result depends on its batch
LEAST_PROBABILITY = 0.7  # MTCNN's own threshold for O-Net


def framed(images: Tensor) -> Tensor:
    """Square images [N, 3, S, S] as [N, 3, FRAME_SIDE, FRAME_SIDE] float32 on the CPU, averaged where they shrink."""
    small = images.detach().to("cpu", torch.float32)
    if small.shape[-1] != FRAME_SIDE:
        size = (FRAME_SIDE, FRAME_SIDE)
        small = F.interpolate(small, size=size, mode="bilinear", align_corners=False, antialias=True)
    return small


def find_landmarks(images: Tensor) -> list[alignment.Landmarks]:
    """O-Net's landmarks of aligned faces [N, 3, S, S] in [-1, 1], in pixels of a FRAME_SIDE image.

    A probability below LEAST_PROBABILITY means that no face was found.
    """
    small = framed(images)
    lanes = F.pad(small, (0, 0, 0, 0, 0, 0, 0, -len(small) % LANES))
    found: list[alignment.Landmarks] = []
    for part in lanes.split(LANES):
        found += alignment.landmarks_in_boxes(part, ALIGNED_BOX)
    return found[: len(small)]
