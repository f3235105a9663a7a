"""Two folders of any program's images, paired by name and rated with a suite's per-image metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.engine.config import SuiteConfig
from benchmarks.errors import ConfigError
from benchmarks.protocols.reconstruction import measure, sample_metrics
from datasets.folder import SUFFIXES
from datasets.images import ImageError, read_rgb, to_tensor
from datasets.scope import Scope
from inversion_bench.names import shown
from metrics.base import SampleMetric
from reports.statistics import mean_interval

ScoreRow = tuple[str, str, float | None, str, str]  # image, metric, value, status, reason


@dataclass(frozen=True)
class Pairs:
    """The files of two folders by their common stem, and the names that only one of them has."""

    found: dict[str, tuple[Path, Path]]
    unpaired: tuple[str, ...]


def paired(images: Path, targets: Path) -> Pairs:
    """Pair the images directly in two folders by their stems. Raises ConfigError where there is no pair."""
    both: list[dict[str, Path]] = []
    for folder in (images, targets):
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix.lower() in SUFFIXES]
        stems = {file.stem: file for file in files}
        if twice := [file.name for file in files if file not in stems.values()]:
            raise ConfigError(f"{folder}: {shown(', '.join(twice))}: another image has that name; pairs are by name")
        both.append(stems)
    common = sorted(both[0].keys() & both[1].keys())
    if not common:
        raise ConfigError(f"no image of {images} ({len(both[0])}) has the name of one in {targets} ({len(both[1])})")
    alone = [str(stems[name]) for stems in both for name in sorted(stems.keys() - set(common))]
    return Pairs({name: (both[0][name], both[1][name]) for name in common}, tuple(alone))


def rated(
    pairs: Pairs, suite: SuiteConfig, scope: Scope, device: torch.device, tick: Callable[[], object]
) -> pd.DataFrame:
    """The scores of all pairs: columns image, metric, value, status, reason.

    Args:
        pairs: images and targets.
        suite: whose per-image metrics are used.
        scope: frame and domain of the images, where they are known.
        device: where to compute.
        tick: called after each pair.

    Raises:
        ConfigError: there is no metric to compute.
    """
    metrics, rows = sample_metrics(suite), []
    if not metrics:
        raise ConfigError("no metric of single images is asked for, or none can be computed here; see `list metrics`")
    for name, files in pairs.found.items():
        rows += _scores(name, files, metrics, scope, device)
        tick()
    return pd.DataFrame(rows, columns=["image", "metric", "value", "status", "reason"])


def _scores(
    name: str, files: tuple[Path, Path], metrics: Sequence[SampleMetric], scope: Scope, device: torch.device
) -> list[ScoreRow]:
    names = [metric.info.name for metric in metrics]
    try:
        image, target = (to_tensor(read_rgb(file)).to(device) for file in files)
    except ImageError as error:
        return [(name, metric, None, "failed", str(error)) for metric in names]
    if image.shape != target.shape:
        sizes = " and ".join(f"{each.shape[2]}x{each.shape[1]} px" for each in (image, target))
        return [(name, metric, None, "failed", f"image and target are {sizes}; resize one of them") for metric in names]
    scores: list[ScoreRow] = []
    for metric in metrics:
        if reason := scope.excluded_by(metric.info.frames, metric.info.domains):
            scores.append((name, metric.info.name, None, "skipped", reason))
            continue
        score = measure(metric, name, image, target)
        scores.append((name, metric.info.name, score.value, score.status, score.reason))
    return scores


def table(scores: pd.DataFrame, suite: SuiteConfig) -> str:
    """Means with 95 % bootstrap intervals, as a table of markdown; metrics without a value with their reason."""
    infos = {metric.info.name: metric.info for metric in sample_metrics(suite)}
    lines = ["| metric | better | mean | 95 % interval | n |", "| :-- | :-- | --: | :-- | --: |"]
    for name, rows in scores.groupby("metric", sort=False):
        info, values = infos[str(name)], rows["value"].dropna().to_numpy(dtype=float)
        if not len(values):
            lines.append(f"| {info.title} | {info.direction} | n/a | {rows['reason'].iloc[0]} | 0 |")
            continue
        interval = mean_interval(np.asarray(values))
        low, high = (f"{bound:.{info.digits}f}" for bound in (interval.low, interval.high))
        lines.append(
            f"| {info.title} | {info.direction} | {interval.mean:.{info.digits}f} | {low} to {high} | {interval.n} |"
        )
    return "\n".join(lines)
