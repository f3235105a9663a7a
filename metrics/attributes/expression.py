"""Attributes that face-api's networks tell: smiling, and how far the mouth is open."""

from __future__ import annotations

import torch
from torch import Tensor

from metrics.attributes.faces import AttributeInfo, Faces
from metrics.networks.face_api import EXPRESSIONS, expression_network, landmark_network

# Left, top and side of the box that the networks look at, in pixels of `Faces.small`. On the labelled expressions of
# openpeople boxes of 44 to 64 px find the same smiles; this one holds brows and chin of all of them.
BOX = (8, 12, 48)
LANES = 16  # faces at once, always (the rest is padding), so that no result depends on its batch
# Places in iBUG's order of 68 points, counted from 0: corners of the eyes, and the lips' inner edges.
LEFT_EYE, RIGHT_EYE, UPPER_LIP, LOWER_LIP = slice(36, 42), slice(42, 48), slice(61, 64), slice(65, 68)


def _looked_at(network: torch.nn.Module, faces: Faces) -> Tensor:
    left, top, side = BOX
    boxes = faces.small[:, :, top : top + side, left : left + side]
    padded = torch.cat([boxes, boxes.new_zeros(-len(boxes) % LANES, *boxes.shape[1:])])
    return torch.cat([network(part) for part in padded.split(LANES)])[: len(boxes)].double()


def smile(faces: Faces) -> Tensor:
    """Log odds [N] of `happy` against the six other expressions."""
    logits = _looked_at(expression_network(), faces)
    happy = EXPRESSIONS.index("happy")
    others = [i for i in range(len(EXPRESSIONS)) if i != happy]
    return logits[:, happy] - logits[:, others].logsumexp(dim=1)


def mouth_opening(faces: Faces) -> Tensor:
    """Gap between the lips [N] in percent of the distance of the eyes."""
    points = _looked_at(landmark_network(), faces).reshape(len(faces.small), 68, 2)
    eyes = points[:, RIGHT_EYE].mean(dim=1) - points[:, LEFT_EYE].mean(dim=1)
    # The points of the upper lip run from left to right, those of the lower one back.
    gap = (points[:, LOWER_LIP].flip(1) - points[:, UPPER_LIP]).norm(dim=2).mean(dim=1)
    return 100 * gap / eyes.norm(dim=1).clamp_min(1e-6)


_LOOK = f"box {BOX[2]} px wide at ({BOX[0]}, {BOX[1]}) of the 64 px frame"
PREDICTORS = (
    AttributeInfo(
        "smile",
        "smile",
        "log odds",
        (-30.0, 30.0),
        1,
        f"log odds of `happy` against six other expressions, face-api's expression network, {_LOOK}",
        smile,
        digits=2,
    ),
    AttributeInfo(
        "mouth_opening",
        "mouth opening",
        "%",
        (0.0, 120.0),
        1,
        "gap between the lips (three pairs of points) in percent of the distance of the eyes, face-api's 68 landmarks, "
        f"{_LOOK}",
        mouth_opening,
    ),
)
