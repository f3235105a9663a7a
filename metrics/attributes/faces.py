"""The input of attribute predictors, and their descriptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from datasets.scope import FACES
from metrics.landmarks import LEAST_PROBABILITY, face_part, find_landmarks


class Faces:
    """A batch of aligned faces [N, 3, S, S] in [-1, 1]; landmarks are computed on first use and cached.

    frame: of datasets.scope; ffhq, or the tight one.
    """

    def __init__(self, images: Tensor, frame: str = ""):
        self.images, self.frame = images, frame

    @cached_property
    def small(self) -> Tensor:
        """The images in the tight frame, of which landmarks are found: [N, 3, 64, 64] float32 on the CPU."""
        return face_part(self.images.cpu(), self.frame)

    @cached_property
    def _landmarks(self) -> tuple[Tensor, Tensor]:
        faces = find_landmarks(self.small)
        points = np.stack([face.points for face in faces]) if faces else np.zeros((0, 5, 2))
        return torch.from_numpy(points), torch.tensor([face.probability for face in faces], dtype=torch.float64)

    @property
    def points(self) -> Tensor:
        """[N, 5, 2] float64, x and y in pixels of `small`: left eye, right eye, nose, left, right mouth corner."""
        return self._landmarks[0]

    @property
    def found(self) -> Tensor:
        """[N] bool: O-Net detects a face in the image."""
        return self._landmarks[1] >= LEAST_PROBABILITY


@dataclass(frozen=True)
class AttributeInfo:
    """The predictor of an attribute.

    Attributes:
        valid: smallest and largest plausible value, in the unit.
        version: raised when the same images would give other values.
        recipe: how the value is computed.
        function: Faces -> values [N].
        network: asset of a network that the user supplies, or "".
        digits: decimals in a table.
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

    @property
    def domains(self) -> tuple[str, ...]:
        """Those of datasets.scope that it is defined for; empty for all."""
        return (FACES,) if self.needs_face else ()
