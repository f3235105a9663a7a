"""Attribute predictors behind one interface: a continuous value with a unit and a range where it can be believed.

A predictor is an `AttributeInfo`: a function of `Faces`, the images of a batch with their landmarks, and its
description. A value outside the range, or of an image without a face, is NaN. Those with a `network` need a file that
the user has; without it they raise AssetMissingError, which says where to get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module

import torch
from torch import Tensor

from datasets.scope import Scope
from inversion_bench.registry import Registry
from metrics.attributes.faces import AttributeInfo, Faces

_TABLES = tuple(f"metrics.attributes.{name}" for name in ("geometry", "expression", "photometry", "official"))

__all__ = ["AttributeInfo", "Faces", "find", "names", "predict", "registry", "undefined"]


@cache
def _built_in() -> dict[str, AttributeInfo]:
    return {info.name: info for module in _TABLES for info in import_module(module).PREDICTORS}


@cache
def registry() -> Registry[AttributeInfo]:
    """All attributes by name; the suite's own are read from their modules at the first use."""
    table = dict.fromkeys(_built_in(), f"{__name__}:_built_in")
    return Registry("attribute", table, "inversion_bench.attributes")


def names() -> list[str]:
    """Names of all attributes."""
    return registry().names()


def find(name: str) -> AttributeInfo:
    """The predictor `name`, or `package.module:Name`. Raises UnknownNameError."""
    return _built_in().get(name) or registry().get(name)


def undefined(name: str, domain: str) -> str:
    """Why an attribute is not defined for images of a domain; "" where it is, or where the domain is not known.

    Raises UnknownNameError.
    """
    return Scope("", domain).excluded_by((), find(name).domains)


@torch.no_grad()
def predict(attributes: Sequence[str], images: Tensor, frame: str = "") -> dict[str, Tensor]:
    """Values by attribute of aligned faces: float64 [N] on the CPU, NaN where undefined.

    Landmarks are detected once, however many attributes are asked for.

    Args:
        attributes: names.
        images: [N, 3, S, S] in [-1, 1].
        frame: of the images (datasets.scope). Predictors are made for the tight frame, which is cut out of FFHQ's.

    Raises:
        UnknownNameError: there is no such attribute.
        ValueError: images of another shape.
    """
    chosen = {name: find(name) for name in attributes}
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise ValueError(f"attributes are read from square images [N, 3, S, S], found {list(images.shape)}")
    faces = Faces(images, frame)
    return {name: _believed(info, faces) for name, info in chosen.items()}


def _believed(info: AttributeInfo, faces: Faces) -> Tensor:
    if not len(faces.images):
        return torch.zeros(0, dtype=torch.float64)
    values = info.function(faces).to("cpu", torch.float64)
    assert values.shape == (len(faces.images),), info.name
    low, high = info.valid
    good = (values >= low) & (values <= high)
    return torch.where(good & faces.found if info.needs_face else good, values, torch.nan)
