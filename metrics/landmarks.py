"""Five landmarks of aligned faces, shared by regions and attributes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets import alignment
from datasets.images import resized
from datasets.training_faces import ALIGNED_BOX

FRAME_SIDE = 64  # side of the input of O-Net; ALIGNED_BOX is in its pixels
BATCH = 16  # fixed (padded), so that results do not depend on the batch
LEAST_PROBABILITY = 0.7  # MTCNN's threshold for O-Net


def framed(images: Tensor) -> Tensor:
    """Square images [N, 3, S, S] as [N, 3, FRAME_SIDE, FRAME_SIDE] float32 on their device, antialiased."""
    return resized(images.detach().float(), FRAME_SIDE)


def find_landmarks(images: Tensor) -> list[alignment.Landmarks]:
    """O-Net's landmarks of aligned faces [N, 3, S, S] in [-1, 1], in pixels of a FRAME_SIDE image.

    Computed in float32 on the device of the images, also under autocast. A probability below LEAST_PROBABILITY means
    that no face was detected.
    """
    with torch.autocast(images.device.type, enabled=False):
        small = framed(images)
        padded = F.pad(small, (0, 0, 0, 0, 0, 0, 0, -len(small) % BATCH))
        found = [face for batch in padded.split(BATCH) for face in alignment.landmarks_in_boxes(batch, ALIGNED_BOX)]
    return found[: len(small)]
