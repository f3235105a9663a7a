"""Photographs of one's own through a method of a suite: aligned, inverted in batches, measured and written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.engine.config import load_suite
from benchmarks.errors import ConfigError
from benchmarks.protocols.reconstruction import measure, sample_metrics
from datasets.alignment import NoFaceError
from datasets.building import Candidate, aligned
from datasets.images import ImageError, read_rgb, save_png, to_image, to_tensor
from inversion_bench.files import write_text
from inversion_bench.names import safe_name, shown
from methods.base import Inversion
from methods.generators import Generator, load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from methods.tuning.deltas import save_delta
from metrics.base import SampleMetric


@dataclass(frozen=True)
class Bench:
    """What photographs are inverted and measured with.

    Args:
        pipeline: the method, on the device with its generator.
        metrics: those of the suite that hold for single images and whose weights are here.
        batch_size: images that are inverted at once.
    """

    pipeline: Pipeline
    metrics: list[SampleMetric]
    batch_size: int
    device: torch.device

    @property
    def generator(self) -> Generator:
        return self.pipeline.generator


@dataclass(frozen=True)
class Photograph:
    """An inverted photograph.

    Args:
        path: the file that it was read from.
        name: of its folder among the results; no two photographs have the same.
        target: the aligned image.
        inversion: of length 1, on the device.
        seconds: that the inversion took; of images that were inverted at once, each its part.
    """

    path: Path
    name: str
    target: Image
    inversion: Inversion
    seconds: float

    def images(self) -> tuple[Tensor, Tensor]:
        """The inversion's image, rounded to 8 bits, and the target: [3, R, R] each, on the inversion's device."""
        image = self.inversion.image[0]
        return to_tensor(to_image(image)).to(image.device), to_tensor(self.target).to(image.device)

    def save(self, out: Path, generator: Generator, report: dict[str, Any], **latents: Tensor) -> Path:
        """Write OUT/NAME/{target,reconstruction}.png, latent.safetensors, and the generator's changes where it was
        tuned; returns the folder.

        Args:
            out: folder of all results.
            generator: the one that was tuned.
            report: what goes into the folder's JSON file, by the file's name.
            latents: further codes [num_ws, w_dim] beside the inversion's.
        """
        folder = out / self.name
        folder.mkdir(parents=True, exist_ok=True)
        save_png(self.target, folder / "target.png")
        save_png(to_image(self.inversion.image[0]), folder / "reconstruction.png")
        codes = {"latent": self.inversion.latent[0], **latents}
        save_file({name: code.contiguous() for name, code in codes.items()}, folder / "latent.safetensors")
        if self.inversion.weights[0] is not None:
            save_delta(folder / "generator-delta.safetensors", generator, self.inversion.weights[0])
        for file, content in report.items():
            write_text(folder / file, json.dumps({"source": shown(self.path.name), **content}, indent=1) + "\n")
        return folder


def prepare(method: str, suite_name: str, overrides: list[str], device: torch.device) -> Bench:
    """Load what a method needs under a suite's settings. Raises ConfigError for whatever is wrong with them."""
    suite = load_suite(suite_name, overrides)
    try:
        spec = load_pipeline(method, suite.stage_settings)
        pipeline = Pipeline(load_generator(suite.generator), spec, suite.seed)
        metrics = sample_metrics(suite)
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(str(error.args[0] if isinstance(error, KeyError) else error)) from error
    group = pipeline.group_size(spec)
    return Bench(pipeline.to(device), metrics, group if group > 1 else suite.batch_size, device)


def inverted(bench: Bench, paths: Sequence[Path]) -> Iterator[tuple[Path, Photograph | str]]:
    """Align and invert photographs, a batch at a time; each file with its result, or the reason why there is none."""
    batch: list[tuple[Path, str, Image]] = []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            target = aligned(Candidate(name, partial(read_rgb, path)), bench.generator.resolution)
        except (ImageError, NoFaceError) as error:
            yield path, str(error).removeprefix(f"{path}: ")
            continue
        batch.append((path, name, target))
        if len(batch) == bench.batch_size:
            yield from _inverted(bench, batch)
            batch = []
    if batch:
        yield from _inverted(bench, batch)


def _inverted(bench: Bench, batch: Sequence[tuple[Path, str, Image]]) -> Iterator[tuple[Path, Photograph | str]]:
    images = torch.stack([to_tensor(target) for _, _, target in batch]).to(bench.device)
    ids = [f"photograph/{name}" for _, name, _ in batch]
    outcome = bench.pipeline.predict_step({"images": images, "ids": ids}, 0)
    places = {image: place for place, image in enumerate(outcome.inversion.ids if outcome.inversion else ())}
    for image, (path, name, target) in zip(ids, batch, strict=True):
        if outcome.inversion is None or image not in places:
            yield path, outcome.failures[image]
        else:
            one = outcome.inversion[places[image] : places[image] + 1]
            yield path, Photograph(path, name, target, one, outcome.seconds[image])


def measured(bench: Bench, photograph: Photograph) -> dict[str, tuple[float | None, str]]:
    """Value, or None and the reason, of every metric of the bench."""
    scores = [measure(metric, photograph.name, *photograph.images()) for metric in bench.metrics]
    return {score.metric: (score.value, score.reason) for score in scores}


def _names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each file; equal stems get a number."""
    names: list[str] = []
    taken: set[str] = set()  # file systems that ignore case must not mix up two names
    for path in paths:
        stem = safe_name(path.stem, ascii_only=False)
        name, n = stem, 2
        while name.lower() in taken:
            name, n = f"{stem}-{n}", n + 1
        taken.add(name.lower())
        names.append(name)
    return names
