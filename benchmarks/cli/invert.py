"""`invert`: any photograph through a method, with the suite's generator, settings and metrics."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL.Image import Image
from safetensors.torch import save_file

from benchmarks.cli.suite import check_writable
from benchmarks.engine.config import load_suite
from benchmarks.engine.score import measure
from benchmarks.engine.store import write_atomically
from benchmarks.errors import ConfigError
from datasets.alignment import NoFaceError
from datasets.building import Candidate, aligned
from datasets.images import ImageError, read_rgb, save_png, to_image, to_tensor
from methods.base import Inversion
from methods.generators import Generator, load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from methods.tuning.deltas import save_delta
from metrics import registry as metrics_registry
from metrics.base import SampleMetric


@dataclass(frozen=True)
class Bench:
    """What one suite inverts photographs with."""

    method: str
    generator: Generator
    pipeline: Pipeline
    metrics: list[SampleMetric]


@dataclass(frozen=True)
class Photograph:
    """One inverted photograph: target, its aligned picture; inversion, of length 1; folder, where its files go."""

    path: Path
    folder: Path
    target: Image
    inversion: Inversion
    seconds: float


def prepare(method: str, suite_name: str, overrides: list[str], out: Path) -> Bench:
    """Load what a method needs under a suite's settings. Raises ConfigError for whatever is wrong with them."""
    suite = load_suite(suite_name, overrides)
    try:
        generator = load_generator(suite.generator)
        pipeline = Pipeline(generator, load_pipeline(method, suite.stage_settings), suite.seed)
        of_one = [name for name in suite.metrics if name not in metrics_registry.SET_METRICS]  # a photograph is no set
        metrics = [metrics_registry.load(name) for name in of_one if metrics_registry.missing(name) is None]
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(str(error.args[0] if isinstance(error, KeyError) else error)) from error
    check_writable(out)
    return Bench(method, generator, pipeline, metrics)


def inverted(bench: Bench, images: list[Path], out: Path) -> Iterator[Photograph | None]:
    """Align and invert one file after the other, and write OUT/<name>/{target,reconstruction}.png; None for a failure,
    which is said on stderr.
    """
    for path, name in zip(images, _names(images), strict=True):
        try:
            target = aligned(Candidate(name, partial(read_rgb, path)), bench.generator.resolution)
        except (ImageError, NoFaceError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            yield None
            continue
        outcome = bench.pipeline.predict_step({"images": to_tensor(target)[None], "ids": [f"photograph/{name}"]}, 0)
        if outcome.inversion is None:
            print(f"{path}: {next(iter(outcome.failures.values()))}", file=sys.stderr)
            yield None
            continue
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        save_png(target, folder / "target.png")
        save_png(to_image(outcome.inversion.image[0]), folder / "reconstruction.png")
        if outcome.inversion.weights[0] is not None:
            save_delta(folder / "generator-delta.safetensors", bench.generator, outcome.inversion.weights[0])
        yield Photograph(path, folder, target, outcome.inversion, sum(outcome.seconds.values()))


def invert_photographs(method: str, images: list[Path], out: Path, suite_name: str, overrides: list[str]) -> int:
    """Write OUT/<name>/{target,reconstruction}.png, latent.safetensors, metrics.json (and tuned weights) a photograph.

    Returns 0, or 1 when an image failed; a wrong method or setting raises ConfigError.
    """
    bench = prepare(method, suite_name, overrides, out)
    failed = 0
    for found in inverted(bench, images, out):
        if found is None:
            failed += 1
            continue
        save_file({"latent": found.inversion.latent[0].contiguous()}, found.folder / "latent.safetensors")
        values: dict[str, float | None] = {}
        pair = to_tensor(to_image(found.inversion.image[0])), to_tensor(found.target)
        for metric in bench.metrics:
            value, reason = measure(metric, [pair])[0]
            values[metric.info.name] = value
            if reason:
                print(f"{found.path}: {metric.info.name}: {reason}", file=sys.stderr)
        values["seconds"] = round(found.seconds, 3)
        text = json.dumps({"source": found.path.name, "method": method, "metrics": values}, indent=1) + "\n"
        write_atomically(found.folder / "metrics.json", text.encode())
        print(f"{found.folder}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items() if v is not None))
    return 1 if failed else 0


def _names(images: list[Path]) -> list[str]:
    """A folder name for each file; equal stems get a number."""
    names: list[str] = []
    for path in images:
        name, n = path.stem or "image", 2
        while name in names:
            name, n = f"{path.stem}-{n}", n + 1
        names.append(name)
    return names
