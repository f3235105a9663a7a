"""A small run on disk as the runner writes it, with known failures, for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from reports.frame import COLUMNS

METRICS: dict[str, dict[str, Any]] = {
    "error_a": {"title": "Error A", "direction": "lower", "unit": "", "range": [0, None], "version": 2,
                "recipe": "64 px, [-1, 1]", "reference": "Someone 2020", "digits": 3},
    "gain_b": {"title": "Gain B", "direction": "higher", "unit": "dB", "range": [None, None], "version": 1,
               "recipe": "peak 2", "reference": "", "digits": 2},
}  # fmt: skip
LEVELS = {"plain": 0.5, "fine": 0.3, "twin": 0.3}


def run_json(n: int, methods: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    named = {name: {"title": f"Title of {name}", "year": 2021, "stages": [name]} for name in LEVELS}
    return {
        "suite": "small",
        "title": "A small suite",
        "config": {},
        "methods": methods or named,
        "datasets": {"faces": {"title": "Faces", "domain": "in", "n": n, "licence": "CC0", "recipe": "r1", "key": "k"}},
        "metrics": METRICS,
        "versions": {"torch": "2.15.0", "commit": "abc", "date": "2026-01-01"},
        "generator": {"name": "toy", "checkpoint": "/somewhere/else/toy.pt", "sha256": "00ff"},
    }


def rows(n: int, methods: dict[str, float] | None = None, seconds: float = 1.0) -> pd.DataFrame:
    """ok rows of n images: error_a around the level of a method, gain_b its opposite, and both costs."""
    random = np.random.default_rng(5)
    images = random.normal(0, 0.05, n)
    lines = []
    for method, level in (methods or LEVELS).items():
        own = level + images + random.normal(0, 0.01, n)
        for place in range(n):
            values = {"error_a": own[place], "gain_b": 20 - own[place], "seconds": seconds, "peak_memory_mb": 100.0}
            for metric, value in values.items():
                version = METRICS.get(metric, {"version": 1})["version"]
                key = ["small", method, "faces", "standard", 0, f"im{place:03}", metric]
                machine = ["cpu", "float32", 8, 1, "2.15.0", f"commit{seconds}", "Some CPU, AVX2"]
                lines.append([*key, float(value), "ok", "", seconds, *machine, version, 1])
    return pd.DataFrame(lines, columns=list(COLUMNS))


def lose(frame: pd.DataFrame, method: str, images: Callable[[str], bool], reason: str, status: str = "failed") -> None:
    """Turn a method's rows of the chosen images into failures, in place."""
    chosen = (frame["method"] == method) & frame["image"].map(images)
    frame.loc[chosen, "value"] = np.nan
    frame.loc[chosen, "status"] = status
    frame.loc[chosen, "reason"] = reason


def write(directory: Path, frame: pd.DataFrame, run: dict[str, Any], pictures: int = 0) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(directory / "results.parquet")
    (directory / "run.json").write_text(json.dumps(run), encoding="utf-8")
    for place in range(pictures):
        folder = directory / "images" / "faces" / f"im{place:03}"
        folder.mkdir(parents=True)
        for shade, name in enumerate(["target", *list(run["methods"])[:2]]):  # the last method has no pictures
            Image.new("RGB", (16, 16), (40 * shade, 10 * place, 90)).save(folder / f"{name}.png")
    return directory
