"""All data sets by name; a builder is imported only when its set is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inversion_bench.registry import Registry, call

if TYPE_CHECKING:
    from datasets.base import Manifest

# A target is a function that returns a Manifest; its parameters are the options of the set.
DATASETS: Registry[Callable[..., Any]] = Registry(
    "data set",
    {
        "digiface_gan": "datasets.digiface_gan:build",
        "openpeople": "datasets.openpeople:build",
        "orl": "datasets.orl:build",
        "folder": "datasets.folder:build",
        "photographs": "datasets.folder:built",
        "occluded": "datasets.occluded:build",
        "celeba": "datasets.celeba:build",
        "celeba_occluded": "datasets.celeba:build_occluded",
        "celeba_hq": "datasets.celeba_hq:build",
        "ffhq": "datasets.folder:ffhq",
        "metfaces": "datasets.folder:metfaces",
        "lfw": "datasets.folder:lfw",
        "stanford_cars": "datasets.folder:stanford_cars",
    },
    "inversion_bench.datasets",
)
# The asset (manifests/assets.yaml) that a set is made of, which `fetch` gets for a suite.
ASSETS: dict[str, str] = {
    "digiface_gan": "dcgan_digiface",
    "openpeople": "openpeople",
    "orl": "orl_faces",
    "celeba": "celeba_photographs",
    "celeba_occluded": "celeba_photographs",
}
# Sets that users supply themselves: where they come from, and their terms.
SOURCES: dict[str, str] = {
    "celeba_hq": "CelebAMask-HQ (images, masks and the mapping to CelebA): the link in the README of "
    "github.com/switchablenorms/CelebAMask-HQ; non-commercial research only",
    "ffhq": "images1024x1024 as github.com/NVlabs/ffhq-dataset fetches them; CC BY-NC-SA 4.0",
    "metfaces": "images as github.com/NVlabs/metfaces-dataset fetches them; CC BY-NC 2.0",
    "lfw": "lfw.tgz of vis-www.cs.umass.edu/lfw, unpacked; for research",
    "stanford_cars": "the images of ai.stanford.edu/~jkrause/cars/car_dataset.html; non-commercial research",
    "folder": "photographs of your own",
}


def names() -> list[str]:
    """Names of all data sets."""
    return DATASETS.names()


def load(name: str, /, *, limit: int | None = None, **options: Any) -> Manifest:
    """The manifest of a data set, built (once) when it is not in the cache.

    Args:
        name: as `names()` lists them, or `package.module:function`.
        limit: images to take, spread evenly over the set; None for all.
        options: of the set, as its builder names them.

    Raises:
        UnknownNameError: with the nearest and all known names.
        TypeError: an option is unknown (with the near miss) or missing.

    Example:
        >>> load("openpeople", limit=8).images().shape
        torch.Size([8, 3, 64, 64])
    """
    manifest: Manifest = call(DATASETS.get(name), f"data set {name!r}", options)
    return manifest.subset(limit)


def declare(name: str) -> str:
    """The short name of a set that is given as `package.module:name`, which is known by it from now on."""
    short = name.rpartition(":")[2]
    if ":" in name:
        DATASETS.register(short, name)
    return short
