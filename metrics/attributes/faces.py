"""What attribute predictors look at, and how one describes itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from metrics.landmarks import LEAST_PROBABILITY, find_landmarks, framed


class Faces:
    """A batch of aligned faces [N, 3, S, S] in [-1, 1]; landmarks are found at their first use and then kept."""

    def __init__(self, images: Tensor):
        self.images = images

    @cached_property
    def small(self) -> Tensor:
        """The images at the side where landmarks are in pixels: [N, 3, 64, 64] float32 on the CPU."""
        return framed(self.images)

    @cached_property
    def _landmarks(self) -> tuple[Tensor, Tensor]:
        found = find_landmarks(self.images)
        points = np.stack([face.points for face in found]) if found else np.zeros((0, 5, 2))
        return torch.from_numpy(points), torch.tensor([face.probability for face in found], dtype=torch.float64)

    @property
    def points(self) -> Tensor:
        """[N, 5, 2] float64, x and y in pixels of `small`: left eye, right eye, nose, left, right mouth corner."""
        return self._landmarks[0]

    @property
    def found(self) -> Tensor:
        """[N] bool: O-Net takes the picture for a face."""
        return self._landmarks[1] >= LEAST_PROBABILITY


@dataclass(frozen=True)
class AttributeInfo:
    """An attribute's predictor. version goes up whenever the same images would give other values.

    valid: smallest and largest value that is believed, in the unit. recipe: how the value is computed. network:
    asset of a network that the user supplies, by its name in the manifest, or "". digits: decimals in a table.
    """

    name: str
    title: str
    unit: str
    valid: tuple[float, float]
    version: int
    recipe: str
    function: Callable[[Faces], Tensor]
    network: str = ""
    needs_face: bool = True
    digits: int = 1
