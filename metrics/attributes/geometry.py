"""Attributes of five landmarks: head pose and mouth width.

The head is a rigid model in weak perspective: eyes and mouth corners lie in a plane, the nose tip is NOSE eye distances
in front of it. Yaw moves the nose off the eyes' midline by NOSE tan(yaw) foreshortened eye distances; pitch moves it
along the line from eyes to mouth likewise. With five points this is a relative score on a scale of degrees, not a
calibrated pose: a longer nose gives a larger angle.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metrics.attributes.faces import AttributeInfo, Faces

NOSE = 0.5  # distance of the nose tip from the plane in eye distances: about 32 of 63 mm
# Position of the nose tip of a frontal face between eyes (0) and mouth (1), and the distance between them in eye
# distances: medians over 2,000 training faces (datasets/training_faces.py).
NOSE_LEVEL, EYES_TO_MOUTH = 0.56, 1.13


def _axes(faces: Faces) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Eye midpoints, eye axis and mouth midpoints relative to them [N, 2], and the nose relative to the midpoints."""
    left, right, nose, mouth_left, mouth_right = faces.points.unbind(dim=1)
    middle = (left + right) / 2
    return middle, right - left, (mouth_left + mouth_right) / 2 - middle, nose - middle


def yaw(faces: Faces) -> Tensor:
    """Degrees [N]; positive: the nose points to the right of the image."""
    _, eyes, _, nose = _axes(faces)
    offset = (nose * eyes).sum(1) / eyes.square().sum(1).clamp_min(1e-12)
    return torch.rad2deg(torch.atan(offset / NOSE))


def pitch(faces: Faces) -> Tensor:
    """Degrees [N]; positive: the head is turned up."""
    _, _, down, nose = _axes(faces)
    level = (nose * down).sum(1) / down.square().sum(1).clamp_min(1e-12)
    return torch.rad2deg(torch.atan((NOSE_LEVEL - level) * EYES_TO_MOUTH / NOSE))


def mouth_width(faces: Faces) -> Tensor:
    """Distance of the mouth corners in percent of that of the eyes [N]; yaw foreshortens both alike."""
    _, eyes, _, _ = _axes(faces)
    mouth = faces.points[:, 4] - faces.points[:, 3]
    return 100 * mouth.norm(dim=1) / eyes.norm(dim=1).clamp_min(1e-6)


_BY = "five landmarks by MTCNN's O-Net alone at 64 px in the tight frame"
_MODEL = "a rigid head of eyes and mouth corners in a plane, weak perspective"
PREDICTORS = (
    AttributeInfo(
        "yaw", "yaw", "degrees", (-60.0, 60.0), 2,
        f"atan(t / {NOSE}), t: offset of the nose from the eyes' midline in eye distances; {_MODEL}; {_BY}; positive "
        "to the right", yaw,
    ),
    AttributeInfo(
        "pitch", "pitch", "degrees", (-60.0, 60.0), 2,
        f"atan(({NOSE_LEVEL} - t) {EYES_TO_MOUTH} / {NOSE}), t: position of the nose between eyes (0) and mouth (1); "
        f"{_MODEL}; {_BY}; positive up", pitch,
    ),
    AttributeInfo(
        "mouth_width", "mouth width", "%", (30.0, 160.0), 2,
        f"distance of the mouth corners in percent of that of the eyes; {_BY}", mouth_width,
    ),
)  # fmt: skip
