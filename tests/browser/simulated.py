"""Runs on disk for the browser: several sets and protocols, one with few methods, pictures, failures, hostile names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from reports import dashboard
from reports.frame import COLUMNS, read
from reports.listings import listings
from reports.tabulate import costs, means

# Names that would do something if any of them were markup, a path, a format or a prototype.
ATTACK = "<img src=x onerror=alert(1)><script>alert(2)"
HOSTILE_METHODS = (
    ATTACK,
    "__proto__",
    '"><svg onload=alert(3)>',
    '%{x} <a href="javascript:alert(4)">b</a>',
    "50% #1?",
)
HOSTILE_IMAGES = ("<img src=x onerror=alert(5)>", "a%2Fb", "what?#where", "' onmouseover='alert(6)", "&lt;b&gt;")
HOSTILE_SET = "<b>set"
HOSTILE_REASON = "<script>alert(7)</script></script><!-- ]]> \u2028"
_METRICS = {
    "error_a": ("Error A", "lower", "", 4, 1.0),
    "gain_b": ("Gain B", "higher", "dB", 2, -20.0),
    "error_c": ("Error C", "lower", "", 3, 0.5),
    "drift_d": ("Drift D", "lower", "", 3, 0.2),
}
PROTOCOLS = {"standard": ("error_a", "gain_b", "error_c"), "second": ("drift_d",)}


def run_json(methods: Sequence[str], sets: dict[str, int], metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "suite": "simulated",
        "title": "A simulated run",
        "config": {"methods": list(methods), "seed": 0, "folder": "/somewhere/else"},
        "methods": {name: {"title": name, "year": 2020 + place, "stages": f"stage {place}", "note": ""}
                    for place, name in enumerate(methods)},
        "datasets": {name: {"title": f"Set {name}", "domain": "in", "n": n, "licence": "CC0", "recipe": "64 px",
                            "key": "k"} for name, n in sets.items()},
        "metrics": {
            name: {"title": _METRICS[name][0], "direction": _METRICS[name][1], "unit": _METRICS[name][2], "version": 1,
                   "digits": _METRICS[name][3], "range": [None, None], "recipe": "simulated", "reference": "Someone"}
            for name in metrics
        },
        "versions": {"torch": "2.15.0"},
        "generator": {"name": "toy", "sha256": "00ff"},
    }  # fmt: skip


def frame(
    methods: Sequence[str], images: dict[str, Sequence[str]], ran: dict[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Rows of every method, set and image (ran: the methods of a set), ok, with quality metrics and both costs."""
    random = np.random.default_rng(11)
    parts = []
    for dataset, ids in images.items():
        common = random.normal(0, 0.05, len(ids))
        for place, method in enumerate(methods):
            if ran and method not in ran.get(dataset, methods):
                continue
            level = 0.3 + 0.6 / (place + 1)
            own = level + common + random.normal(0, 0.02, len(ids))
            columns = {("standard", name): own * _METRICS[name][4] for name in PROTOCOLS["standard"]}
            columns |= {("second", "drift_d"): 0.02 * place + 0.2 * np.abs(common)}
            columns |= {("standard", "seconds"): 0.5 * (place + 1) + 0.1 * np.abs(common),
                        ("standard", "peak_memory_mb"): np.full(len(ids), 100.0 + place)}  # fmt: skip
            for (protocol, metric), values in columns.items():
                parts.append(pd.DataFrame({
                    "suite": "simulated", "method": method, "dataset": dataset, "protocol": protocol, "seed": 0,
                    "image": list(ids), "metric": metric, "value": values, "status": "ok", "reason": "",
                    "seconds": 1.0, "device": "cpu", "precision": "float32", "batch_size": 8, "attempt": 1,
                    "torch": "2.15.0", "commit": "abc", "machine": "", "metric_version": 1, "method_version": 1,
                }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def paint(directory: Path, dataset: str, image: str, file: str, seed: int, size: int = 16) -> None:
    """A picture of random blocks; file may name a folder, too."""
    path = directory / "images" / dataset / image / f"{file}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    blocks = random.integers(40, 220, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((size, size), Image.Resampling.NEAREST).save(path)


def write(directory: Path, rows: pd.DataFrame, run: dict[str, Any]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(directory / "results.parquet")
    (directory / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return directory


def show(directory: Path, reference: str) -> None:
    """The dashboard alone: the other files of a report are not what a browser is for."""
    results = read(directory)
    quality = [means(results, *part) for part in results.parts]
    dear = [costs(results, *part) for part in results.parts if not results.costs(*part).empty]
    dashboard.write(results, quality, dear, reference, listings(results))


def ordinary(directory: Path) -> Path:
    """Four methods, two sets (on the second only two of them), pictures, extras, failures; with its dashboard."""
    methods = ("plain", "fine", "slow", "twin")
    images = {"faces": [f"im{place:03}" for place in range(60)], "masked": [f"m{place}" for place in range(8)]}
    rows = frame(methods, images, {"masked": ("plain", "fine")})
    lost = (rows["method"] == "twin") & (rows["image"] == "im007") & (rows["dataset"] == "faces")
    rows.loc[lost, ["value", "status", "reason"]] = [np.nan, "failed", "diverged: loss is nan"]
    write(directory, rows, run_json(methods, {name: len(ids) for name, ids in images.items()}, list(_METRICS)))
    for dataset, ids in images.items():
        for number, image in enumerate(ids):
            for place, file in enumerate(("target", *methods[: 4 if dataset == "faces" else 2])):
                if (file, image) != ("twin", "im007"):
                    paint(directory, dataset, image, file, 10 * number + place, 200 if dataset == "masked" else 16)
    for label in ("age-1", "age+2", "age+1"):
        paint(directory, "faces", "im000", f"plain/{label}", 1)
    paint(directory, "masked", "m0", "mask", 3)
    show(directory, "plain")
    return directory


def hostile(directory: Path) -> Path:
    """Every name, title and reason is an attack; with its dashboard."""
    images = {HOSTILE_SET: list(HOSTILE_IMAGES) + [f"im{place}" for place in range(6)]}
    rows = frame(HOSTILE_METHODS, images)
    lost = (rows["method"] == HOSTILE_METHODS[3]) & (rows["image"] == HOSTILE_IMAGES[0])
    rows.loc[lost, ["value", "status", "reason"]] = [np.nan, "failed", HOSTILE_REASON]
    run = run_json(HOSTILE_METHODS, {name: len(ids) for name, ids in images.items()}, list(_METRICS))
    run["title"] = "</title><script>alert(8)</script>"
    run["metrics"]["error_a"] |= {"title": "<i onclick=alert(9)>E</i>", "unit": "<u>"}
    write(directory, rows, run)
    for number, image in enumerate(images[HOSTILE_SET]):
        for place, file in enumerate(("target", *HOSTILE_METHODS)):
            if "/" not in file:  # such a method has no pictures
                paint(directory, HOSTILE_SET, image, file, 10 * number + place)
    show(directory, HOSTILE_METHODS[0])
    return directory
