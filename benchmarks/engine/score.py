"""Scoring: per-image metrics of stored pictures against their targets; repeatable, and never inverts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmarks.engine.run import Run
from benchmarks.engine.score_files import score_path, scores, stamp
from benchmarks.engine.set_scores import SetScorer
from benchmarks.engine.store import JsonLines, finite
from benchmarks.protocols.occlusion import Regions, inapplicable, inputs, interest_regions, pairs
from datasets.alignment import NoFaceError
from datasets.images import ImageError, read_rgb, to_tensor
from metrics import registry as metrics_registry
from metrics.base import UNDEFINED, SampleMetric, SetMetric, Undefined
from metrics.paired import PairedMetric, load_protocol

BATCH = 16
Measured = SampleMetric | PairedMetric  # what one image is enough for


@torch.no_grad()
def score(run: Run, progress: bool = True) -> int:
    """Compute what is missing for every leaf stage run and metric; returns the number of values computed."""
    leaves = dict.fromkeys(run.plan.leaf.values())
    paired = [metric for name in run.plan.suite.protocols for metric in load_protocol(name)]
    paired = [metric for metric in paired if metric.info.name not in run.plan.skipped]
    regions = cache(lambda dataset: interest_regions(run.plan.manifests[dataset]))
    computed = 0
    with tqdm(total=len(leaves) * (len(run.plan.metrics) + len(paired)), desc="scoring", disable=not progress) as bar:
        found = [metrics_registry.find(name) for name in run.plan.metrics]
        for metric in (each for each in found if isinstance(each, SampleMetric)):
            for key in leaves:
                computed += _score_stage_run(run, key, metric)
                bar.update()
        # Cells outside, metrics inside: those on one network share the features of a stage run's pictures.
        scorer, of_sets = SetScorer(run), [each for each in found if isinstance(each, SetMetric)]
        for key in leaves if of_sets else ():
            computed += scorer.score(key, of_sets)
            bar.update(len(of_sets))
        for each in paired:
            for key in leaves:
                computed += _score_pairs(run, key, each, regions)
                bar.update()
    return computed


def _score_stage_run(run: Run, key: str, metric: SampleMetric) -> int:
    store, manifest = run.store(key), run.manifest(key)
    done = [image for image, row in store.rows().items() if row["status"] == "ok" and image in manifest.by_id]

    def load(image: str) -> tuple[Tensor, ...]:
        return to_tensor(read_rgb(store.picture(image))), run.target(key, image)

    return _update(run, key, metric, {image: stamp(store, image) for image in done}, load)


def _score_pairs(run: Run, key: str, metric: PairedMetric, regions: Callable[[str], Regions]) -> int:
    store, dataset = run.store(key), run.plan.stage_run(key).dataset
    manifest, rows = run.plan.manifests[dataset], store.rows()
    stamps = {}
    for record in pairs(manifest):
        if rows.get(record.id, {}).get("status") == "ok" and not inapplicable(metric, record):
            used = [record.id]
            if "clean_reconstruction" in metric.inputs:
                used.append(str(record.labels["clean"]))
            stamps[record.id] = [stamp(store, image) for image in used]

    def load(image: str) -> tuple[Tensor, ...]:
        return inputs(metric, manifest.by_id[image], manifest, store, rows, regions(dataset))

    return _update(run, key, metric, stamps, load)


def _update(
    run: Run, key: str, metric: Measured, stamps: Mapping[str, Any], load: Callable[[str], tuple[Tensor, ...]]
) -> int:
    """Compute and store the scores of a stage run that are missing or of older pictures; returns how many."""
    known = scores(run.out, key, metric)
    lines = JsonLines(score_path(run.out, key, metric))
    # What failed may succeed now.
    todo = sorted(
        image
        for image, stamp in stamps.items()
        if known.get(image, {}).get("stamp") != stamp or known[image].get("value") is None
    )
    for start in range(0, len(todo), BATCH):
        parts, good, rows = [], [], []
        for image in todo[start : start + BATCH]:
            try:
                parts.append(load(image))
                good.append(image)
            except (ImageError, Undefined) as error:
                reason = f"{UNDEFINED if isinstance(error, Undefined) else ''}{error}"
                rows.append({"image": image, "stamp": stamps[image], "value": None, "reason": reason})
        if parts:
            for image, (value, reason) in zip(good, measure(metric, parts), strict=True):
                rows.append({"image": image, "stamp": stamps[image], "value": value, "reason": reason})
        lines.append(*rows)
    return len(todo)


@torch.no_grad()
def measure(metric: Measured, parts: Sequence[tuple[Tensor, ...]]) -> list[tuple[float | None, str]]:
    """Value and reason of each image, given as picture and target; one that cannot be measured spoils no other.

    Images go one by one: last digits of a network depend on the size of its batch, and a value must not depend on what
    else has to be scored. On a CPU that costs nothing (five metrics of 16 images: 1.78 s, together 1.73 s).
    """
    return [_value(metric, part) for part in parts]


def _value(metric: Measured, part: tuple[Tensor, ...]) -> tuple[float | None, str]:
    try:
        value = float(metric(*(each[None] for each in part))[0])
    except (RuntimeError, ValueError) as error:
        undefined = isinstance(error, NoFaceError | Undefined)
        return None, f"{UNDEFINED}{error}" if undefined else f"{type(error).__name__}: {error}"
    return finite(value), "" if np.isfinite(value) else _why(metric, value, part)


def _why(metric: Measured, value: float, part: tuple[Tensor, ...]) -> str:
    """Why the value of one image is not a number."""
    known = metric.undefined(part[1][None])[0] if isinstance(metric, SampleMetric) and metric.undefined else ""
    return UNDEFINED + known if known else f"the metric is {value}"
