"""Measurements that need an image's own generator, taken while it is in memory.

A new one is a function here or in its own file and one line in INLINE. Each returns values by metric name; a
method to which it does not apply returns none.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from methods.base import Inversion
from methods.generators.stylegan2 import Generator
from metrics.base import MetricInfo

INLINE = {
    "locality": "methods.tuning.measure:locality",
    "latent": "methods.latent_distance:latent_distance",
}


def measure(name: str, generator: Generator, inversion: Inversion, seed: int) -> dict[str, float]:
    """Values of the measurement for one image (an Inversion of length 1)."""
    return _function(name)(generator, inversion, seed)


def infos(name: str) -> list[MetricInfo]:
    """What the measurement's values are called, mean and depend on."""
    module, _ = _entry(name)
    return list(import_module(module).INFOS)


def _entry(name: str) -> tuple[str, str]:
    if name not in INLINE:
        raise ValueError(f"unknown inline measurement {name!r}; known: {', '.join(INLINE)}")
    module, function = INLINE[name].split(":")
    return module, function


def _function(name: str) -> Any:
    module, function = _entry(name)
    return getattr(import_module(module), function)
