"""Attribute predictors behind one interface: a continuous value with a unit and a range where it can be believed.

A predictor is a function of `Faces`, the images of a batch with what is found in them once, and one entry of
PREDICTORS. A value outside the range, or of an image without a face, is NaN. Those with a `network` need a file that
the user has; without it they raise AssetMissingError, which says where to get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import torch
from torch import Tensor

from metrics.attributes.faces import AttributeInfo, Faces

_TABLES = tuple(f"metrics.attributes.{name}" for name in ("geometry", "expression", "photometry", "official"))

PREDICTORS: dict[str, AttributeInfo] = {
    info.name: info for module in _TABLES for info in import_module(module).PREDICTORS
}

__all__ = ["PREDICTORS", "AttributeInfo", "Faces", "predict"]


@torch.no_grad()
def predict(names: Sequence[str], images: Tensor) -> dict[str, Tensor]:
    """Values by attribute of aligned faces [N, 3, S, S] in [-1, 1]: float64 [N] on the CPU, NaN where undefined.

    Landmarks are found once, however many attributes are asked for. Raises KeyError for an unknown attribute and
    ValueError for images of another shape.
    """
    for name in names:
        if name not in PREDICTORS:
            near = get_close_matches(name, PREDICTORS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise KeyError(f"unknown attribute {name!r}: {hint}known: {', '.join(PREDICTORS)}")
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise ValueError(f"attributes are read from square images [N, 3, S, S], found {list(images.shape)}")
    faces = Faces(images)
    return {name: _believed(PREDICTORS[name], faces) for name in names}


def _believed(info: AttributeInfo, faces: Faces) -> Tensor:
    if not len(faces.images):
        return torch.zeros(0, dtype=torch.float64)
    values = info.function(faces).to("cpu", torch.float64)
    assert values.shape == (len(faces.images),), info.name
    low, high = info.valid
    good = (values >= low) & (values <= high)
    return torch.where(good & faces.found if info.needs_face else good, values, torch.nan)
