"""All data sets by name; a builder is imported only when its set is asked for."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from datasets.base import Manifest

DATASETS: dict[str, str] = {
    "digiface_gan": "datasets.digiface_gan:build",
    "openpeople": "datasets.openpeople:build",
    "orl": "datasets.orl:build",
    "folder": "datasets.folder:build",
    "occluded": "datasets.occluded:build",
    "celeba_hq": "datasets.celeba_hq:build",
    "ffhq": "datasets.folder:ffhq",
    "metfaces": "datasets.folder:metfaces",
    "lfw": "datasets.folder:lfw",
    "stanford_cars": "datasets.folder:stanford_cars",
}
# Sets that users bring themselves: where they come from, and their terms.
SOURCES: dict[str, str] = {
    "celeba_hq": "CelebAMask-HQ (pictures, masks and the mapping to CelebA): the link in the README of "
    "github.com/switchablenorms/CelebAMask-HQ; non-commercial research only",
    "ffhq": "images1024x1024 as github.com/NVlabs/ffhq-dataset fetches them; CC BY-NC-SA 4.0",
    "metfaces": "images as github.com/NVlabs/metfaces-dataset fetches them; CC BY-NC 2.0",
    "lfw": "lfw.tgz of vis-www.cs.umass.edu/lfw, unpacked; for research",
    "stanford_cars": "the pictures of ai.stanford.edu/~jkrause/cars/car_dataset.html; non-commercial research",
    "folder": "photographs of your own",
}


def names() -> list[str]:
    """Names of all data sets."""
    return list(DATASETS)


def load(name: str, **options: Any) -> Manifest:
    """The manifest of a set, built (once) when it is not in the cache.

    Raises KeyError for an unknown name and TypeError for an unknown or missing option, with the near miss.
    """
    if name not in DATASETS:
        raise KeyError(f"unknown data set {name!r}: {_hint(name, DATASETS)}known: {', '.join(DATASETS)}")
    module, function = DATASETS[name].split(":")
    builder = getattr(import_module(module), function)
    known = inspect.signature(builder).parameters
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise TypeError(f"data set {name!r} has no option {option!r}: {_hint(option, known)}options: {listed}")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise TypeError(f"data set {name!r} needs the option {option!r}")
    manifest: Manifest = builder(**options)
    return manifest


def _hint(word: str, known: Any) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}? " if near else ""
