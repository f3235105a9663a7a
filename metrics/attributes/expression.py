"""Attributes by face-api's networks: smile and mouth opening."""

from __future__ import annotations

import torch
from torch import Tensor

from metrics.attributes.faces import AttributeInfo, Faces
from metrics.networks.face_api import EXPRESSIONS, expression_network, landmark_network

# Left, top and side of the networks' input in pixels of `Faces.small`. On the labelled expressions of openpeople, boxes
# of 44 to 64 px give the same smiles; this one contains brows and chin of all faces.
BOX = (8, 12, 48)
BATCH = 16  # fixed (padded), so that results do not depend on the batch
# Indices in iBUG's order of 68 points, counted from 0: corners of the eyes, and the lips' inner edges.
LEFT_EYE, RIGHT_EYE, UPPER_LIP, LOWER_LIP = slice(36, 42), slice(42, 48), slice(61, 64), slice(65, 68)


def _predict(network: torch.nn.Module, faces: Faces) -> Tensor:
    left, top, side = BOX
    boxes = faces.small[:, :, top : top + side, left : left + side]
    padded = torch.cat([boxes, boxes.new_zeros(-len(boxes) % BATCH, *boxes.shape[1:])])
    return torch.cat([network(part) for part in padded.split(BATCH)])[: len(boxes)].double()


def smile(faces: Faces) -> Tensor:
    """Log odds [N] of `happy` against the six other expressions."""
    logits = _predict(expression_network(), faces)
    happy = EXPRESSIONS.index("happy")
    others = [i for i in range(len(EXPRESSIONS)) if i != happy]
    return logits[:, happy] - logits[:, others].logsumexp(dim=1)


def mouth_opening(faces: Faces) -> Tensor:
    """Gap between the lips [N] in percent of the distance between the eyes."""
    points = _predict(landmark_network(), faces).reshape(len(faces.small), 68, 2)
    eyes = points[:, RIGHT_EYE].mean(dim=1) - points[:, LEFT_EYE].mean(dim=1)
    # The points of the upper lip run from left to right, those of the lower one back.
    gap = (points[:, LOWER_LIP].flip(1) - points[:, UPPER_LIP]).norm(dim=2).mean(dim=1)
    return 100 * gap / eyes.norm(dim=1).clamp_min(1e-6)


_BOX = f"box {BOX[2]} px wide at ({BOX[0]}, {BOX[1]}) of the tight frame at 64 px"
PREDICTORS = (
    AttributeInfo(
        "smile", "smile", "log odds", (-30.0, 30.0), 2,
        f"log odds of `happy` against six other expressions, face-api's expression network, {_BOX}", smile, digits=2,
    ),
    AttributeInfo(
        "mouth_opening", "mouth opening", "%", (0.0, 120.0), 2,
        "gap between the lips (three pairs of points) in percent of the distance between the eyes, face-api's 68 "
        f"landmarks, {_BOX}", mouth_opening,
    ),
)  # fmt: skip
