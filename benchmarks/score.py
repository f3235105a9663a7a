"""Scoring: per-image metrics of stored pictures against their targets; repeatable, and never inverts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmarks.plan import Plan
from benchmarks.store import CellStore, JsonLines, finite, read_lines
from datasets.images import ImageError, read_rgb, to_tensor
from metrics import registry as metrics_registry
from metrics.base import SampleMetric

BATCH = 16


def score_path(out: Path, key: str, metric: SampleMetric) -> Path:
    return out / "scores" / key / f"{metric.info.name}-v{metric.info.version}.jsonl"


def scores(out: Path, key: str, metric: SampleMetric) -> dict[str, dict[str, Any]]:
    """Stored scores of a cell by image: value (None when undefined), reason, and the picture's time stamp."""
    path = score_path(out, key, metric)
    return {row["image"]: row for row in read_lines([path] if path.exists() else [])}


@torch.no_grad()
def score(plan: Plan, out: Path, progress: bool = True) -> int:
    """Compute what is missing for every leaf cell and metric; returns the number of values computed."""
    leaves = dict.fromkeys(plan.leaf.values())
    computed = 0
    with tqdm(total=len(leaves) * len(plan.metrics), desc="scoring", disable=not progress) as bar:
        for name in plan.metrics:
            metric = metrics_registry.load(name)
            for key in leaves:
                computed += _score_cell(plan, out, key, metric)
                bar.update()
    return computed


def _score_cell(plan: Plan, out: Path, key: str, metric: SampleMetric) -> int:
    cell = plan.cell(key)
    store = CellStore(out, key)
    known = scores(out, key, metric)
    lines = JsonLines(score_path(out, key, metric))
    manifest = plan.manifests[cell.dataset]
    todo = []
    for image, row in store.rows().items():
        if row["status"] != "ok" or image not in manifest.by_id:
            continue
        stamp = store.picture(image).stat().st_mtime_ns
        score = known.get(image, {})
        if score.get("stamp") != stamp or score.get("value") is None:  # what failed may succeed now
            todo.append((image, stamp))
    todo.sort()
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        pairs, good, rows = [], [], []
        for image, stamp in part:
            try:
                target = to_tensor(read_rgb(manifest.root / manifest.by_id[image].file))
                pairs.append((to_tensor(read_rgb(store.picture(image))), target))
                good.append((image, stamp))
            except ImageError as error:
                rows.append({"image": image, "stamp": stamp, "value": None, "reason": str(error)})
        if pairs:
            values = measure(metric, pairs)
            for (image, stamp), (value, reason) in zip(good, values, strict=True):
                rows.append({"image": image, "stamp": stamp, "value": value, "reason": reason})
        lines.append(*rows)
    return len(todo)


@torch.no_grad()
def measure(metric: SampleMetric, pairs: list[tuple[Tensor, Tensor]]) -> list[tuple[float | None, str]]:
    """Value and reason of each picture and target; one that cannot be measured does not spoil the others."""
    try:
        images, targets = (torch.stack(part) for part in zip(*pairs, strict=True))
        found = [float(v) for v in metric(images, targets)]
    except (RuntimeError, ValueError) as error:
        if len(pairs) > 1:
            return [measure(metric, [pair])[0] for pair in pairs]
        return [(None, f"{type(error).__name__}: {error}")]
    return [(finite(v), "" if np.isfinite(v) else _why(metric, v, pair)) for v, pair in zip(found, pairs, strict=True)]


def _why(metric: SampleMetric, value: float, pair: tuple[Tensor, Tensor]) -> str:
    """Why the value of one image is not a number."""
    known = metric.undefined(pair[1][None])[0] if metric.undefined else ""
    return known or f"the metric is {value}"
