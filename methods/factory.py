"""One method, ready to invert images: for notebooks and other code outside the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from methods.generators import Generator, load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline


def create(
    name: str,
    generator: str | Path | Generator = "celeba64",
    *,
    seed: int = 0,
    device: str | torch.device | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Pipeline:
    """A method on a generator.

    Args:
        name: as `methods.names()` lists them, a YAML file, or `package.module:Name` of a stage.
        generator: a generator, or what `methods.generators.load_generator` takes.
        seed: of the method's random streams, which depend on it and on the images' ids alone.
        device: where to compute; None leaves the generator where it is.
        settings: by stage name, settings that differ from the stage's Config.

    Returns:
        A Lightning module; `invert(images, ids)` takes images [N, 3, R, R] in [-1, 1] and returns an Inversion.

    Raises:
        ValueError: a name or setting is unknown; the message has the near miss.

    Example:
        >>> import datasets
        >>> images = datasets.load("openpeople", limit=2).images()
        >>> create("e4e").invert(images, ["a", "b"]).latent.shape
        torch.Size([2, 10, 128])
    """
    spec = load_pipeline(name, settings)
    loaded = generator if isinstance(generator, Generator) else load_generator(generator)
    pipeline = Pipeline(loaded, spec, seed)
    return pipeline if device is None else pipeline.to(device)
