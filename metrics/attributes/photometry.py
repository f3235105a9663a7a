"""Attributes of colours: brightness and warmth of the image, brightness above the forehead."""

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
    """Mean luma of the image [N], in percent."""
    return luma(faces.images.double()).mean(dim=(1, 2))


# Rows and columns of `Faces.small`: the band above the forehead, which is hair in a frame as tight as this.
CROWN = (slice(0, 8), slice(16, 48))


def crown(faces: Faces) -> Tensor:
    """Mean luma of the band above the forehead [N], in percent."""
    return luma(faces.small.double())[:, *CROWN].mean(dim=(1, 2))


def warmth(faces: Faces) -> Tensor:
    """Mean of red minus blue over the image [N], in percent of the range."""
    red, _, blue = faces.images.double().clamp(-1, 1).mean(dim=(2, 3)).unbind(dim=1)
    return 50 * (red - blue)


PREDICTORS = (
    AttributeInfo(
        "brightness", "brightness", "%", (0.0, 100.0), 1,
        "mean BT.709 luma of all pixels, sRGB values, in percent of white", brightness, needs_face=False,
    ),
    AttributeInfo(
        "crown", "hair brightness", "%", (0.0, 100.0), 2,
        "mean BT.709 luma of rows 0-7, columns 16-47 of the tight frame at 64 px (hair), in percent of white",
        crown, needs_face=False,
    ),
    AttributeInfo(
        "warmth", "warmth", "%", (-100.0, 100.0), 1,
        "mean of red minus blue over all pixels, sRGB values, in percent of the range", warmth, needs_face=False,
    ),
)  # fmt: skip
