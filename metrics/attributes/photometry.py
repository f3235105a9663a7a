"""Attributes that colours tell: how bright the picture is."""

from __future__ import annotations

import torch
from torch import Tensor

from metrics.attributes.faces import AttributeInfo, Faces

LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709


def luma(images: Tensor) -> Tensor:
    """BT.709 luma of sRGB values in percent of white: [N, 3, H, W] in [-1, 1] -> [N, H, W] in 0..100."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return 50 * (torch.einsum("nchw,c->nhw", images.clamp(-1, 1), weights) + 1)


def brightness(faces: Faces) -> Tensor:
    """Mean luma of the whole picture [N], in percent."""
    return luma(faces.images.double()).mean(dim=(1, 2))


PREDICTORS = (
    AttributeInfo(
        "brightness",
        "brightness",
        "%",
        (0.0, 100.0),
        1,
        "mean BT.709 luma of all pixels, sRGB values, in percent of white",
        brightness,
        needs_face=False,
    ),
)
