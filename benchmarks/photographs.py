"""`invert`: any photograph through a method, with the suite's generator, settings and metrics."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from safetensors.torch import save_file

from benchmarks.commands import check_writable
from benchmarks.config import load_suite
from benchmarks.errors import ConfigError
from benchmarks.score import measure
from benchmarks.store import write_atomically
from datasets.alignment import NoFaceError
from datasets.building import Candidate, aligned
from datasets.images import ImageError, read_rgb, save_png, to_image, to_tensor
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from methods.tuning.deltas import save_delta
from metrics import registry as metrics_registry


def invert_photographs(method: str, images: list[Path], out: Path, suite_name: str, overrides: list[str]) -> int:
    """Write OUT/<name>/{target,reconstruction}.png, latent.safetensors, metrics.json (and tuned weights) a photograph.

    Returns 0, or 1 when an image failed; a wrong method or setting raises ConfigError.
    """
    suite = load_suite(suite_name, overrides)
    try:
        generator = load_generator(suite.generator)
        pipeline = Pipeline(generator, load_pipeline(method, suite.stage_settings), suite.seed)
        metrics = [metrics_registry.load(name) for name in suite.metrics if metrics_registry.missing(name) is None]
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(str(error.args[0] if isinstance(error, KeyError) else error)) from error
    check_writable(out)
    names = _names(images)
    failed = 0
    for path, name in zip(images, names, strict=True):
        try:
            target = aligned(Candidate(name, partial(read_rgb, path)), generator.resolution)
        except (ImageError, NoFaceError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
            continue
        outcome = pipeline.predict_step({"images": to_tensor(target)[None], "ids": [f"photograph/{name}"]}, 0)
        if outcome.inversion is None:
            print(f"{path}: {next(iter(outcome.failures.values()))}", file=sys.stderr)
            failed += 1
            continue
        inversion = outcome.inversion
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        picture = to_image(inversion.image[0])
        save_png(target, folder / "target.png")
        save_png(picture, folder / "reconstruction.png")
        save_file({"latent": inversion.latent[0].contiguous()}, folder / "latent.safetensors")
        if inversion.weights[0] is not None:
            save_delta(folder / "generator-delta.safetensors", generator, inversion.weights[0])
        values: dict[str, float | None] = {}
        for metric in metrics:
            value, reason = measure(metric, [(to_tensor(picture), to_tensor(target))])[0]
            values[metric.info.name] = value
            if reason:
                print(f"{path}: {metric.info.name}: {reason}", file=sys.stderr)
        values["seconds"] = round(sum(outcome.seconds.values()), 3)
        text = json.dumps({"source": path.name, "method": method, "metrics": values}, indent=1) + "\n"
        write_atomically(folder / "metrics.json", text.encode())
        print(f"{folder}: " + ", ".join(f"{k} {v:.4g}" for k, v in values.items() if v is not None))
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
