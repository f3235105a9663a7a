"""Scoring of whole sets: each picture's share of a distance between a stage run's pictures and their targets.

The shares lie where other scores lie, a row an image; their stamp is of all pictures together, so that every share is
computed anew when any of them changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.engine.plan import digest
from benchmarks.engine.run import Run
from benchmarks.engine.score_files import score_path, scores, stamp
from benchmarks.engine.store import InversionStore, JsonLines, finite
from datasets.assets import AssetMissingError
from datasets.images import ImageError, read_rgb, to_tensor
from metrics.base import UNDEFINED, Features, SetMetric, Undefined

BATCH = 8
LEAST = 2  # images, below which no set has a distance
Found = Mapping[str, Tensor | str]  # by image: features [D], or why there are none


class SetScorer:
    """Scores the stage runs of a plan. Keeps the networks and the targets' features, which all methods share."""

    def __init__(self, run: Run):
        self.run = run
        self._networks: dict[str, Features] = {}
        self._targets: dict[tuple[str, str], dict[str, Tensor | str]] = {}

    @torch.no_grad()
    def score(self, key: str, metrics: Sequence[SetMetric]) -> int:
        """Compute what is missing of a stage run; returns the number of values computed."""
        store, dataset = self.run.store(key), self.run.plan.stage_run(key).dataset
        known = self.run.plan.manifests[dataset].by_id
        images = sorted(image for image, row in store.rows().items() if row["status"] == "ok" and image in known)
        mark = digest([[image, stamp(store, image)] for image in images])
        todo = [metric for metric in metrics if not self._is_there(key, metric, images, mark)]
        for network, group in groupby(sorted(todo, key=lambda metric: metric.network), lambda metric: metric.network):
            metrics_here = list(group)
            pairs = self._pairs(network, metrics_here[0].features, store, dataset, images)
            for metric in metrics_here:
                rows = _rows(metric, pairs)
                JsonLines(score_path(self.run.out, key, metric)).append(
                    *({"image": image, "stamp": mark, **rows[image]} for image in images)
                )
        return len(todo) * len(images)

    def _is_there(self, key: str, metric: SetMetric, images: Iterable[str], mark: str) -> bool:
        """Whether all shares of these pictures are stored; what failed may succeed now."""
        known = scores(self.run.out, key, metric)
        rows = [known.get(image, {}) for image in images]
        return all(
            row.get("stamp") == mark and (row["value"] is not None or row["reason"].startswith(UNDEFINED))
            for row in rows
        )

    def _pairs(
        self, network: str, make: Callable[[], Features], store: InversionStore, dataset: str, images: Sequence[str]
    ) -> dict[str, tuple[Tensor, Tensor] | str]:
        """Features of picture and target, by image."""
        manifest = self.run.plan.manifests[dataset]
        try:
            if network not in self._networks:
                self._networks[network] = make()
            features = self._networks[network]
            targets = self._targets.setdefault((network, dataset), {})
            files = {image: manifest.root / manifest.by_id[image].file for image in images if image not in targets}
            targets |= _features(features, files)
            pictures = _features(features, {image: store.picture(image) for image in images})
        except (ValueError, RuntimeError, OSError, ModuleNotFoundError, AssetMissingError) as error:
            why = f"{UNDEFINED if isinstance(error, Undefined) else f'{type(error).__name__}: '}{error}"
            return dict.fromkeys(images, why)
        return {image: _both(pictures[image], targets[image]) for image in images}


def _features(features: Features, files: Mapping[str, Path]) -> Found:
    found: dict[str, Tensor | str] = {}
    names = list(files)
    for start in range(0, len(names), BATCH):
        tensors: dict[str, Tensor] = {}
        for image in names[start : start + BATCH]:
            try:
                tensors[image] = to_tensor(read_rgb(files[image]))
            except ImageError as error:
                found[image] = str(error)
        if tensors:
            found |= dict(zip(tensors, features(torch.stack(list(tensors.values()))), strict=True))
    return found


def _both(picture: Tensor | str, target: Tensor | str) -> tuple[Tensor, Tensor] | str:
    if isinstance(picture, str):
        return picture
    return target if isinstance(target, str) else (picture, target)


def _rows(metric: SetMetric, pairs: Mapping[str, tuple[Tensor, Tensor] | str]) -> dict[str, dict[str, Any]]:
    """Value and reason of each image."""
    rows: dict[str, dict[str, Any]] = {image: {"value": None, "reason": pair}
                                       for image, pair in pairs.items() if isinstance(pair, str)}  # fmt: skip
    good = {image: pair for image, pair in pairs.items() if not isinstance(pair, str)}
    if len(good) < LEAST:
        why = f"{UNDEFINED}a distance of sets needs at least {LEAST} pictures, found {len(good)}"
        return rows | {image: {"value": None, "reason": why} for image in good}
    pictures, targets = (torch.stack(side) for side in zip(*good.values(), strict=True))
    for image, value in zip(good, metric.influences(pictures, targets).tolist(), strict=True):
        rows[image] = {"value": finite(value), "reason": "" if math.isfinite(value) else f"the share is {value}"}
    return rows
