"""Metrics of inversion: `create("lpips_vgg")(images, targets)`; `names()` lists them."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from metrics.registry import create, missing, names, set_names

__all__ = ["create", "missing", "names", "set_names"]
__getattr__, __dir__ = lazy.attach(__name__, {name: f"metrics.registry:{name}" for name in __all__})
