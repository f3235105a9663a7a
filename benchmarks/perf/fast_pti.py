"""`python -m benchmarks.perf.fast_pti`: paired comparison of pti_fast with pti on faces64's three data sets.

Seconds are processor time of one thread per image, in batches of 8 as in the suite; the methods alternate, so that
other load affects both. The first 8 images fill the batches of all stages and have a separate ratio, as W always
computes 8 images. With `--front`, pti_fast also runs with other numbers of steps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.engine.config import SuiteConfig, load_suite
from datasets import registry as datasets_registry
from datasets.images import to_image, to_tensor
from methods.generators import Generator, load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from metrics import registry as metrics_registry
from reports.statistics import paired_interval

SETS = ("digiface_gan", "openpeople", "orl")
METRICS = ("lpips_alex", "lpips_vgg", "mse", "id_sface")
BATCH = 8


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.fast_pti", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, help="data sets (default: all three)")
    parser.add_argument(
        "--images", type=int, default=12, help="of each set, spread evenly as in the suite (default: 12)"
    )
    parser.add_argument("--turns", type=int, default=1, help="repetitions of each method (default: 1)")
    parser.add_argument("--front", type=int, nargs="*", default=[], help="further numbers of steps of pti_fast")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    torch.set_num_threads(1)
    suite = load_suite("faces64")
    generator = load_generator(suite.generator)
    methods = {"pti": pipeline(suite, generator, "pti"), "pti_fast": pipeline(suite, generator, "pti_fast")}
    for steps in options.front:
        methods[f"pti_fast, {steps} steps"] = pipeline(suite, generator, "pti_fast", steps)
    print(
        "| set | method | s | ratio | ratio, full batches | "
        + " | ".join(f"{name}: mean, minus pti's" for name in METRICS)
        + " |"
    )
    print("| :-- | :-- | --: | --: | --: |" + " --: |" * len(METRICS))
    for data in options.sets:
        manifest = datasets_registry.load(data, limit=options.images)
        images, targets = manifest.ids, manifest.images()
        groups = [manifest.groups.get(image, image) for image in images]
        seconds, values = compare(methods, targets, [f"{data}/{image}" for image in images], options.turns)
        for method in methods:
            ratio = median(sum(turn) / sum(slow) for turn, slow in zip(seconds[method], seconds["pti"], strict=True))
            full = median(turn[0] / slow[0] for turn, slow in zip(seconds[method], seconds["pti"], strict=True))
            per_image = median(sum(turn) for turn in seconds[method]) / len(images)
            cells = [compared(values["pti"][name], values[method][name], groups) for name in METRICS]
            print(
                f"| {data} | {method} | {per_image:.2f} | {ratio:.3f} | {full:.3f} | {' | '.join(cells)} |", flush=True
            )


def pipeline(suite: SuiteConfig, generator: Generator, name: str, steps: int | None = None) -> Pipeline:
    """A method with the suite's settings.

    Args:
        suite: gives settings and seed.
        generator: of the pipeline.
        name: of the method.
        steps: of the last stage; None: as in the suite.
    """
    spec = load_pipeline(name, suite.stage_settings)
    if steps is not None:
        last = spec.stages[-1]
        spec = replace(spec, stages=(*spec.stages[:-1], replace(last, config=replace(last.config, steps=steps))))
    return Pipeline(generator, spec, suite.seed)


def compare(
    methods: dict[str, Pipeline], targets: Tensor, ids: Sequence[str], turns: int
) -> tuple[dict[str, list[list[float]]], dict[str, dict[str, Tensor]]]:
    """Time the methods and measure their inversions.

    Args:
        methods: by name.
        targets: [N, 3, R, R].
        ids: N.
        turns: repetitions.

    Returns:
        By method: seconds by turn and batch, and values [N] by metric.
    """
    seconds: dict[str, list[list[float]]] = {method: [] for method in methods}
    inverted: dict[str, list[Tensor]] = {}
    for _ in range(turns):
        for spent in seconds.values():
            spent.append([])
        inverted = {method: [] for method in methods}
        for part in (slice(i, i + BATCH) for i in range(0, len(ids), BATCH)):
            for method, stages in methods.items():
                start = time.process_time()
                outcome = stages.predict_step({"images": targets[part], "ids": ids[part]}, 0)
                seconds[method][-1].append(time.process_time() - start)
                if outcome.inversion is None or outcome.failures:
                    raise RuntimeError(f"{method}: some images failed: {outcome.failures}")
                inverted[method].append(outcome.inversion.image)
    values = {}
    for method, parts in inverted.items():
        stored = torch.stack([to_tensor(to_image(image)) for image in torch.cat(parts)])
        values[method] = {name: metrics_registry.load(name)(stored, targets) for name in METRICS}
    return seconds, values


def compared(slow: Tensor, fast: Tensor, groups: Sequence[str]) -> str:
    """The mean of a method, and its paired difference to pti with the 95 % interval of the tables."""
    if torch.equal(fast, slow):
        return f"{float(fast.mean()):.4f}"
    found = paired_interval(fast.numpy(), slow.numpy(), groups)
    return f"{float(fast.mean()):.4f}, {found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


if __name__ == "__main__":
    main()
