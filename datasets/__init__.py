"""Data sets: `load("openpeople", limit=8).images()`; `names()` lists them."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from datasets.base import Manifest, Record
    from datasets.module import ImageDataModule
    from datasets.registry import load, names

__all__ = ["ImageDataModule", "Manifest", "Record", "load", "names"]
__getattr__, __dir__ = lazy.attach(
    __name__,
    {
        "ImageDataModule": "datasets.module:ImageDataModule",
        "Manifest": "datasets.base:Manifest",
        "Record": "datasets.base:Record",
        "load": "datasets.registry:load",
        "names": "datasets.registry:names",
    },
)
