"""Where scores lie: DIR/scores/<stage run>/<metric>-v<version>.jsonl, a row an image, the last one counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.engine.store import InversionStore, read_lines
from metrics.base import SampleMetric, SetMetric
from metrics.paired import PairedMetric

Metric = SampleMetric | PairedMetric | SetMetric


def score_path(out: Path, key: str, metric: Metric) -> Path:
    return out / "scores" / key / f"{metric.info.name}-v{metric.info.version}.jsonl"


def scores(out: Path, key: str, metric: Metric) -> dict[str, dict[str, Any]]:
    """Stored scores of a stage run by image: value (None when undefined), reason, and the pictures' time stamps."""
    path = score_path(out, key, metric)
    return {row["image"]: row for row in read_lines([path] if path.exists() else [])}


def stamp(store: InversionStore, image: str) -> int:
    """When the picture was written; a score of an older one is stale. 0: there is none."""
    path = store.picture(image)
    return path.stat().st_mtime_ns if path.exists() else 0
