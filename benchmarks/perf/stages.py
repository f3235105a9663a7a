"""`python -m benchmarks.perf.stages`: the time of all stages and metrics, and of their reference implementations.

One process and one thread on a CPU, as a worker of a run. Stage and reference implementation (benchmarks/perf/plain.py)
alternate on the same images, so that other load affects both. Seconds are processor time of the process; ratios are
also given by wall time. Optimising stages take `--steps` steps, and their figures are per step.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.engine.config import SuiteConfig, load_suite
from benchmarks.engine.machine import device_name
from benchmarks.engine.types import Score
from benchmarks.perf import plain
from benchmarks.protocols.reconstruction import measure, sample_metrics
from datasets import registry as datasets_registry
from datasets.images import read_rgb, to_tensor
from methods.base import Inversion, Method
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.registry import StageSpec, load_pipeline
from metrics.base import SampleMetric

ADDITIONAL = ("pti_batched",)  # pipelines that are also measured
PARTS = ("stages", "metrics")
UNBATCHED = 2  # images of stages that compute one at a time


def spread(values: Sequence[float]) -> str:
    """Median, minimum and maximum."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


@dataclass
class Times:
    """Processor and wall seconds of each repeat."""

    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def interleaved(actions: Sequence[Callable[[], object]], repeats: int) -> list[Times]:
    """Each action once without timing, then alternating, `repeats` times each."""
    for action in actions:
        action()
    taken = [Times() for _ in actions]
    for round_ in range(repeats):
        for i in range(len(actions)):
            i = (i + round_) % len(actions)
            wall, processor = time.perf_counter(), time.process_time()
            actions[i]()
            taken[i].processor.append(time.process_time() - processor)
            taken[i].wall.append(time.perf_counter() - wall)
    return taken


@dataclass(frozen=True)
class Subject:
    """A stage with a suite's settings, and its input. steps: optimisation steps per image, 1 for an encoder."""

    title: str
    stage: Method
    images: Tensor
    ids: list[str]
    init: Inversion | None
    steps: int

    def run(self) -> Inversion:
        return self.stage.invert(self.images, self.ids, self.init)

    @property
    def parts(self) -> int:
        """Images times steps."""
        return len(self.ids) * self.steps

    def alone(self) -> Subject:
        """For the reference implementation, which needs fewer images, as it computes one at a time."""
        n = min(len(self.ids), UNBATCHED)
        init = self.init[:n] if self.init is not None else None
        return replace(self, stage=plain.stage_of(self.stage), images=self.images[:n], ids=self.ids[:n], init=init)


def load_images(suite: SuiteConfig, count: int) -> tuple[Tensor, list[str]]:
    """Images [N, 3, R, R] of the suite's last data set that all methods run on, and their ids."""
    entry = next(entry for entry in reversed(suite.datasets) if not entry.methods)
    manifest = datasets_registry.load(entry.name, **entry.options).subset(count)
    parts = [to_tensor(read_rgb(manifest.root / manifest.by_id[i].file)) for i in manifest.ids]
    return torch.stack(parts), [f"{manifest.name}/{i}" for i in manifest.ids]


def shortened(stage: StageSpec, steps: int) -> StageSpec:
    """The stage with so many optimisation steps and no early stopping; encoders are unchanged."""
    if not hasattr(stage.config, "steps"):
        return stage
    still: dict[str, Any] = {"stop_lpips": 0.0} if hasattr(stage.config, "stop_lpips") else {}
    return StageSpec(stage.name, replace(stage.config, steps=steps, **still))


def subjects(suite: SuiteConfig, generator: Generator, count: int, steps: int) -> Iterator[Subject]:
    """The distinct stages of the suite's methods and of ADDITIONAL.

    Args:
        suite: gives methods, settings and images.
        generator: of the stages.
        count: number of images; UNBATCHED for stages that compute one at a time.
        steps: of optimising stages.
    """
    images, ids = load_images(suite, count)
    inversions: dict[str, Inversion] = {}
    for name in (*suite.methods, *ADDITIONAL):
        init: Inversion | None = None
        for spec in load_pipeline(name, suite.stage_settings).stages:
            spec = shortened(spec, steps)
            if repr(spec) not in inversions:
                stage = spec.build(generator, suite.seed)
                stage.check(images, ids, init)
                off = hasattr(spec.config, "locality") and not spec.config.locality.weight
                batched = spec.cls.parallel_images(spec.config) > 1
                title = spec.name + " (in batches)" * (batched and "tuning" in spec.name) + " (no locality)" * off
                inversions[repr(spec)] = stage.invert(images, ids, init)
                n = count if batched else min(count, UNBATCHED)
                before = init[:n] if init is not None else None
                yield Subject(title, stage, images[:n], ids[:n], before, steps if hasattr(spec.config, "steps") else 1)
            init = inversions[repr(spec)]


def metrics(suite: SuiteConfig, count: int) -> Iterator[tuple[SampleMetric, Tensor, Tensor]]:
    """The per-image metrics that can be computed here, with images and targets to measure."""
    targets, _ = load_images(suite, count)
    noise = torch.randn(targets.shape, generator=torch.Generator().manual_seed(0))
    images = (targets + 0.1 * noise).clamp(-1, 1)
    for metric in sample_metrics(suite):
        yield metric, images, targets


def measure_all(metric: SampleMetric, images: Tensor, targets: Tensor) -> list[Score]:
    """Scores of images [N, 3, R, R], one by one as a run computes them."""
    return [measure(metric, "", *pair) for pair in zip(images, targets, strict=True)]


def compared(title: str, taken: Sequence[Times], parts: Sequence[int]) -> str:
    """A line of the tables.

    Args:
        title: of the stage or metric.
        taken: times of the suite, then those of the reference implementation, if there is one.
        parts: images times steps of each.
    """
    times = [[1000 * s / n for s in one.processor] for one, n in zip(taken, parts, strict=True)]
    if len(times) == 1:
        return f"| {title} | {spread(times[0])} | | | |"
    walls = [[s / n for s in one.wall] for one, n in zip(taken, parts, strict=True)]
    ratios = [[b / a for a, b in zip(*pair, strict=True)] for pair in (times, walls)]
    return f"| {title} | {' | '.join(map(spread, (*times, *ratios)))} |"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.stages", description=__doc__)
    parser.add_argument("--suite", default="celeba64", help="its generator, settings and data set are used")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6, help="of optimising stages")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--part", choices=PARTS, action="append", help="what to measure, may be repeated (default: all)"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    suite = load_suite(options.suite)
    parts = options.part or PARTS
    print(f"{device_name()}, 1 thread, torch {torch.__version__}, {options.images} images, {options.repeats} repeats")
    if "stages" in parts:
        compare_stages(suite, options.images, options.steps, options.repeats)
    if "metrics" in parts:
        compare_metrics(suite, options.images, options.repeats)


def compare_stages(suite: SuiteConfig, count: int, steps: int, repeats: int) -> None:
    """Print the table of stages; ms are processor time: median, minimum and maximum."""
    print("\n| stage | ms / image and step | reference | reference / suite | by wall time |\n| :-- |" + " --: |" * 4)
    for subject in subjects(suite, load_generator(suite.generator), count, steps):
        actions: list[Callable[[], object]] = [subject.run]
        parts = [subject.parts]
        if plain.known(subject.stage):
            one = subject.alone()
            actions.append(partial(plain.invert, one.stage, one.images, one.ids, one.init))
            parts.append(one.parts)
        print(compared(subject.title, interleaved(actions, repeats), parts), flush=True)


def compare_metrics(suite: SuiteConfig, count: int, repeats: int) -> None:
    """Print the table of metrics, with cached results of the targets, as from the second method on."""
    print("\n| metric | ms / image | reference | reference / suite | by wall time |\n| :-- |" + " --: |" * 4)
    with torch.no_grad():
        for metric, images, targets in metrics(suite, count):
            both: list[Callable[[], object]] = [
                partial(measure_all, metric, images, targets),
                partial(plain.score, metric, images, targets),
            ]
            print(compared(metric.info.name, interleaved(both, repeats), [count, count]), flush=True)


if __name__ == "__main__":
    main()
