"""Seconds an image and steps a second of every stage, and the harness's own share: `python -m benchmarks.perf.stages`.

One process and one thread on a CPU, as a worker of a run has. Prints markdown tables: medians over repeats with the
least and the greatest. `--run DIR` reads the stages' figures from a finished run instead of timing them again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.config import load_suite
from benchmarks.plan import expand
from benchmarks.runner import Shard, device_name, invert
from benchmarks.store import CellStore
from datasets import registry as datasets_registry
from datasets.images import read_rgb, to_tensor
from methods.base import Inversion
from methods.generators import load_generator
from methods.registry import load_pipeline
from metrics import registry as metrics_registry


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def timed(action: Callable[[], object], repeats: int) -> list[float]:
    """Wall seconds of each repeat, after one that is not counted."""
    action()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds


def from_run(folder: Path) -> None:
    """The stages' seconds and steps as a run recorded them, over all its images and data sets."""
    rows: dict[str, list[dict]] = {}
    for path in sorted(folder.glob("cells/*/cell.json")):
        stages = json.loads(path.read_text())["stages"]
        name = " + ".join(stage["stage"] for stage in stages)
        if stages[-1]["config"].get("locality", {}).get("weight") == 0:
            name += " (no locality)"
        done = CellStore(folder, path.parent.name).rows().values()
        rows.setdefault(name, []).extend(row for row in done if row["status"] == "ok")
    print("| stage (the last of) | images | s / image | steps / s / image |\n| :-- | --: | --: | --: |")
    for name, found in rows.items():
        seconds = [row["seconds"] for row in found]
        rates = [row["steps"] / row["seconds"] for row in found]
        print(f"| {name} | {len(found)} | {spread(seconds)} | {spread(rates)} |")
    used = {(row["device"], row["threads"], row["torch"]) for found in rows.values() for row in found}
    print("\nDevice, threads a worker, torch: " + "; ".join(", ".join(map(str, one)) for one in sorted(used)))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--suite", default="faces64", help="whose generator, settings and first data set are used")
    arguments.add_argument("--images", type=int, default=8)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--run", type=Path, help="folder of a finished run of the suite")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    suite = load_suite(options.suite)
    if options.run:
        from_run(options.run)
        _harness(options.suite, options.images)
        return
    generator = load_generator(suite.generator)
    manifest = datasets_registry.load(suite.datasets[-1].name, **suite.datasets[-1].options).subset(options.images)
    pictures = [to_tensor(read_rgb(manifest.root / manifest.by_id[i].file)) for i in manifest.ids]
    images, ids = torch.stack(pictures), [f"perf/{i}" for i in manifest.ids]
    n = len(ids)
    print(f"{device_name()}, 1 thread, torch {torch.__version__}, {n} images of {manifest.name}", end="")
    print(f", {options.repeats} repeats\n")
    print("| stage | in | s / image | steps / s / image |\n| :-- | :-- | --: | --: |")
    seen = set()
    for name in suite.methods:
        spec = load_pipeline(name, suite.stage_settings)
        init: Inversion | None = None
        for depth, stage in enumerate(spec.stages):
            method, key = stage.build(generator, suite.seed), repr(spec.stages[: depth + 1])
            before = init
            init = method.invert(images, ids, before)
            if key in seen:
                continue
            seen.add(key)
            seconds = timed(partial(method.invert, images, ids, before), options.repeats)
            rates = [float(init.steps.sum()) / s for s in seconds]
            print(f"| {stage.name} | {name} | {spread([s / n for s in seconds])} | {spread(rates)} |")
    _metrics(suite.metrics, images, options.repeats)
    _harness(options.suite, options.images)


def _metrics(names: list[str], images: Tensor, repeats: int) -> None:
    print("\n| metric | ms / image |\n| :-- | --: |")
    noisy = (images + 0.1 * torch.randn_like(images)).clamp(-1, 1)
    for name in names:
        if metrics_registry.missing(name) is None:
            metric = metrics_registry.load(name)
            with torch.no_grad():
                seconds = timed(partial(metric, noisy, images), repeats)
            print(f"| {name} | {spread([1000 * s / len(images) for s in seconds])} |")


def _harness(name: str, count: int) -> None:
    """Wall time of inverting through the harness against the methods' own seconds in it."""
    suite = load_suite(name)
    last = next(entry for entry in reversed(suite.datasets) if not entry.methods)
    suite = replace(suite, methods=suite.methods[:1], datasets=[replace(last, limit=count)], inline=[], protocols=[])
    used = {stage.name for stage in load_pipeline(suite.methods[0]).stages}
    suite = replace(suite, stage_settings={k: v for k, v in suite.stage_settings.items() if k in used})
    plan = expand(suite)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        invert(plan, Path(folder), "missing", Shard(), progress=False)
        wall = time.perf_counter() - start
        own = sum(row["seconds"] for c in plan.cells for row in CellStore(Path(folder), c.key).rows().values())
    share = (wall - own) / wall
    print(f"\nHarness: {wall - own:.2f} s of {wall:.2f} s ({share:.1%}) for {count} images of {suite.methods[0]}")


if __name__ == "__main__":
    main()
