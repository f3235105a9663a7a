"""Faces drawn from ovals, which MTCNN's last stage takes for faces: for tests without photographs."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from datasets.images import to_image

Colour = tuple[float, float, float]


def drawn_face(skin: Colour = (0.5, 0.1, -0.1), side: int = 64) -> Tensor:
    """[3, side, side] in [-1, 1], in the suite's frame: eyes near (21, 24) and (43, 24), mouth near (32, 49) of 64."""
    x = (torch.arange(side) + 0.5) * 64 / side - 0.5
    y = x[:, None]
    face = torch.full((3, side, side), -0.2)

    def oval(cx: float, cy: float, rx: float, ry: float, colour: Colour) -> None:
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        face[:, inside] = torch.tensor(colour)[:, None]

    oval(32, 34, 25, 31, (-0.7, -0.75, -0.8))
    oval(32, 38, 22, 28, skin)
    for cx in (21, 43):
        oval(cx, 19, 6, 1.3, (-0.6, -0.7, -0.7))
        oval(cx, 24.5, 5, 2.6, (0.8, 0.8, 0.8))
        oval(cx, 24.5, 2.3, 2.4, (-0.8, -0.8, -0.8))
    oval(32, 38, 3.2, 1.2, (0.1, -0.2, -0.3))
    oval(30.5, 32, 0.9, 6, (0.65, 0.3, 0.1))
    oval(32, 49, 9, 2.6, (0.3, -0.4, -0.4))
    oval(32, 49, 8, 0.7, (-0.3, -0.7, -0.7))
    return F.avg_pool2d(F.pad(face[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]


def face_picture(skin: Colour = (0.5, 0.1, -0.1), side: int = 64) -> Image.Image:
    return to_image(drawn_face(skin, side))
