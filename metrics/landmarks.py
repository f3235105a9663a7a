"""Five landmarks of aligned faces, and the part of an image that holds the face: shared by regions and attributes."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from datasets import alignment
from datasets.ffhq_alignment import frame_of_5
from datasets.images import resized
from datasets.scope import FFHQ
from datasets.training_faces import ALIGNED_BOX
from metrics.networks.sface import FRAME

FRAME_SIDE = 64  # side of the input of O-Net; ALIGNED_BOX is in its pixels
BATCH = 16  # fixed (padded), so that results do not depend on the batch
LEAST_PROBABILITY = 0.7  # MTCNN's threshold for O-Net


def framed(images: Tensor) -> Tensor:
    """Square images [N, 3, S, S] as [N, 3, FRAME_SIDE, FRAME_SIDE] float32 on their device, antialiased."""
    return resized(images.detach().float(), FRAME_SIDE)


@cache
def _tight_in_ffhq() -> Tensor:
    """[2, 3]: normalised coordinates (-1 to 1 over the edges) in the tight frame -> in FFHQ's, for the mean face."""
    frame = frame_of_5(alignment.Landmarks(np.array(FRAME), 1.0))
    ends = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # the origin, and one step along each axis
    origin, right, down = 2 * frame.inside((ends + 1) * FRAME_SIDE / 2 - 0.5) - 1
    return torch.from_numpy(np.stack([right - origin, down - origin, origin], axis=1)).float()


def face_part(images: Tensor, frame: str) -> Tensor:
    """What the tight frame holds of aligned faces [N, 3, S, S]: [N, 3, FRAME_SIDE, FRAME_SIDE] float32.

    frame: of the images. In FFHQ's frame it is the part of the mean face, the same for all images, bilinear; images of
    any other frame are taken whole.
    """
    images = images.detach().float()
    if frame != FFHQ:
        return framed(images)
    theta = _tight_in_ffhq().to(images)
    side = round(FRAME_SIDE / float(theta[:, 0].norm()))  # of FFHQ's frame at which the part has FRAME_SIDE pixels
    images = resized(images, side) if images.shape[-1] > side else images
    grid = F.affine_grid(theta.expand(len(images), 2, 3), [len(images), 3, FRAME_SIDE, FRAME_SIDE], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


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
