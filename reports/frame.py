"""The results of a finished run: DIR/results.parquet and DIR/run.json, read and checked before anything is drawn.

Names, titles, directions, units and order of methods, metrics and data sets come from run.json; only the cost
metrics are named here, because timings stay out of the quality tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = (
    "suite", "method", "dataset", "protocol", "seed", "image", "metric", "value", "status", "reason", "seconds",
    "device", "precision", "batch_size", "attempt", "torch", "commit", "machine", "metric_version",
    "method_version",
)  # fmt: skip
KEY = ["method", "dataset", "protocol", "seed", "image", "metric"]
STATUSES = ("ok", "failed", "undefined", "blocked", "skipped", "missing")
FAILURES = ("failed", "undefined", "blocked")  # statuses of scores that were tried and are absent
# Names of an earlier version in the columns of results.parquet, and in run.json.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "protocol": {"editing_consistency": "reinversion", "editing_lines": "interpolation"},
    "metric": {
        "row_spread": "layer_spread",
        "line_path_length": "interpolation_path_length",
        "line_detour": "interpolation_detour",
        "line_middle_id": "interpolation_middle_id",
        "line_frechet_alex": "interpolation_frechet_alex",
    },
}
COSTS: Mapping[str, Mapping[str, Any]] = {
    "seconds": {"title": "time", "direction": "lower", "unit": "s", "digits": 3, "version": 1},
    "cpu_seconds": {"title": "processor time", "direction": "lower", "unit": "s", "digits": 3, "version": 1},
    "peak_memory_mb": {"title": "peak memory", "direction": "lower", "unit": "MiB", "digits": 1, "version": 1},
    "batch_images": {"title": "images at once", "direction": "higher", "unit": "", "digits": 1, "version": 1},
    "load": {"title": "load per processor", "direction": "lower", "unit": "", "digits": 2, "version": 1},
}


class ReportError(ValueError):
    """The rows or run.json cannot be reported; the message has the expected and actual values and a fix."""


@dataclass(frozen=True)
class Results:
    """A checked run.

    Attributes:
        directory: of the run.
        run: run.json, with the infos of the costs added.
        rows: a frame of COLUMNS sorted by KEY, costs included.
    """

    directory: Path
    run: dict[str, Any]
    rows: pd.DataFrame

    @cached_property
    def _by_part(self) -> dict[tuple[str, str], pd.DataFrame]:
        return {(str(key[0]), str(key[1])): rows for key, rows in self.rows.groupby(["dataset", "protocol"])}

    def scores(self, dataset: str, protocol: str) -> pd.DataFrame:
        """Rows of quality metrics, without costs."""
        rows = self._by_part[dataset, protocol]
        return rows[~rows["metric"].isin(list(COSTS))]

    def costs(self, dataset: str, protocol: str) -> pd.DataFrame:
        rows = self._by_part[dataset, protocol]
        return rows[rows["metric"].isin(list(COSTS))]

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Quality rows of all parts that are not ok."""
        return self.rows[(self.rows["status"] != "ok") & ~self.rows["metric"].isin(list(COSTS))]

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Those of `losses` that were tried."""
        return self.losses[self.losses["status"].isin(FAILURES)]

    @cached_property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.run["methods"])

    @property
    def reference(self) -> str:
        """The method that others are compared with: the suite's, or the first one where that is not run."""
        wanted = str((self.run.get("config") or {}).get("reference_method") or "")
        return wanted if wanted in self.methods else self.methods[0]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Quality metrics in the order of run.json."""
        return tuple(name for name in self.run["metrics"] if name not in COSTS)

    @cached_property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """(data set, protocol) of every table: protocols by their first metric in run.json, then data sets."""
        order = {name: index for index, name in enumerate(self.run["datasets"])}
        index = {name: n for n, name in enumerate(self.run["metrics"])}
        first = {part: min(index[metric] for metric in set(rows["metric"]) if metric in index)
                 for part, rows in self._by_part.items()}  # fmt: skip
        return tuple(sorted(self._by_part, key=lambda part: (first[part], part[1], order[part[0]])))

    def part_methods(self, dataset: str, protocol: str) -> tuple[str, ...]:
        """Methods that the part has rows of, in the order of run.json."""
        present = set(self._by_part[dataset, protocol]["method"])
        return tuple(name for name in self.methods if name in present)

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that have rows, in the order of run.json."""
        seen = {dataset for dataset, _ in self.parts}
        return tuple(name for name in self.run["datasets"] if name in seen)

    def protocols(self, dataset: str) -> tuple[str, ...]:
        return tuple(protocol for name, protocol in self.parts if name == dataset)

    def images(self, dataset: str) -> list[str]:
        """Sorted ids of the images that a data set has rows of, under any protocol."""
        parts = (self._by_part[dataset, protocol]["image"] for protocol in self.protocols(dataset))
        return sorted(set().union(*parts) - {""})

    def part_metrics(self, dataset: str, protocol: str) -> tuple[str, ...]:
        """Quality metrics that the part has rows of, in the order of run.json."""
        present = set(self._by_part[dataset, protocol]["metric"])
        return tuple(name for name in self.metrics if name in present)

    def expected(self, dataset: str, protocol: str = "") -> int:
        """Number of images of a data set, or of a protocol where run.json gives another number for it."""
        info = self.run["datasets"][dataset]
        return int(info.get("protocols", {}).get(protocol, info["n"]))

    def groups(self, dataset: str, images: Sequence[str]) -> list[str] | None:
        """The group (person) of each image, as run.json has it; None where every image is one of its own."""
        known = self.run["datasets"][dataset].get("groups") or {}
        return [known.get(image, image) for image in images] if known else None

    def info(self, metric: str) -> Mapping[str, Any]:
        return self.run["metrics"][metric]

    def title(self, kind: str, name: str) -> str:
        """Title of a method, data set or metric (kind is run.json's key), with the name where two share a title."""
        titles = {key: str(info.get("title") or key) for key, info in self.run[kind].items()}
        shared = list(titles.values()).count(titles[name]) > 1
        return f"{titles[name]} ({name})" if shared else titles[name]

    def values(self, metric: str, dataset: str, protocol: str) -> pd.DataFrame:
        """Values [images, methods], means over seeds; NaN unless an image is ok for all seeds of its method."""
        key = metric, dataset, protocol
        if key not in self._values:
            self._values[key] = self._pivoted(*key)
        return self._values[key]

    @cached_property
    def _values(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """What `values` has given; every table and figure asks for it."""
        return {}

    def _pivoted(self, metric: str, dataset: str, protocol: str) -> pd.DataFrame:
        part = self._by_part[dataset, protocol]
        seeds = part.groupby("method")["seed"].nunique()
        ok = part[(part["metric"] == metric) & (part["status"] == "ok")]
        cells = ok.groupby(["image", "method"])["value"].agg(["mean", "size"])
        complete = cells["size"].to_numpy() == seeds.reindex(cells.index.get_level_values("method")).to_numpy()
        return cells["mean"].where(complete, np.nan).unstack("method").reindex(columns=list(self.methods))


def read(directory: str | Path) -> Results:
    """Read and check DIR/results.parquet and DIR/run.json. Raises FileNotFoundError or ReportError."""
    directory = Path(directory)
    for name in ("run.json", "results.parquet"):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"expected {name} in {directory}, found none: give the folder of a finished run, or run the suite"
            )
    try:
        run = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"expected JSON in {directory / 'run.json'}, found: {error}; run the suite again") from error
    try:
        rows = pd.read_parquet(directory / "results.parquet")
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read {directory / 'results.parquet'}: {error}; run the suite again") from error
    return check(directory, *_renamed(run, rows))


def _renamed(run: Any, rows: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    """run.json and the rows under the present names."""
    rows = rows.assign(**{name: rows[name].replace(dict(new)) for name, new in RENAMED.items() if name in rows})
    run = _checked_run(run)
    run["metrics"] = {RENAMED["metric"].get(name, name): info for name, info in run["metrics"].items()}
    for info in run["datasets"].values():
        if "protocols" in info:
            info["protocols"] = {RENAMED["protocol"].get(name, name): n for name, n in info["protocols"].items()}
    return run, rows


def check(directory: Path, run: Any, rows: pd.DataFrame) -> Results:
    """Results of a run.json already parsed and its rows. Raises ReportError."""
    run = _checked_run(run)
    if "machine" not in rows:  # of an earlier version
        rows = rows.assign(machine="")
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise ReportError(f"results.parquet lacks the columns {missing}; found {list(rows.columns)}")
    rows = rows[list(COLUMNS)].copy()
    for name in ("suite", "method", "dataset", "protocol", "image", "metric", "status", "reason", "device",
                 "precision", "torch", "commit", "machine"):  # fmt: skip
        # Python's strings: of pandas' own, which Arrow holds, the many small selections take half of a report's time.
        rows[name] = rows[name].astype(object).where(rows[name].notna(), "").map(str).astype(object)
    rows["value"] = pd.to_numeric(rows["value"], errors="raise").astype(float)
    rows = rows.sort_values(KEY, kind="stable", ignore_index=True)
    _check_names(run, rows)
    _check_values(rows)
    _check_versions(run, rows)
    seen = rows[rows["image"] != ""].groupby("dataset")["image"].nunique()
    for dataset, count in seen.items():
        expected = int(run["datasets"][dataset]["n"])
        if count > expected:
            raise ReportError(
                f"run.json says that {dataset} has {expected} images, the rows hold {count}: write n as it was run"
            )
    return Results(directory, run, rows)


def _checked_run(run: Any) -> dict[str, Any]:
    if not isinstance(run, dict):
        raise ReportError(f"expected an object in run.json, found {type(run).__name__}")
    for key in ("methods", "datasets", "metrics"):
        if not isinstance(run.get(key), dict) or not run[key]:
            raise ReportError(f"expected a filled object {key!r} in run.json, found {run.get(key)!r}")
    for name, info in run["datasets"].items():
        if not isinstance(info.get("n"), int) or info["n"] < 1:
            raise ReportError(f"expected a positive integer n of data set {name!r}, found {info.get('n')!r}")
    run = {**run, "metrics": {**COSTS, **run["metrics"]}}
    for name, info in run["metrics"].items():
        if info.get("direction") not in ("lower", "higher"):
            raise ReportError(f"expected direction lower or higher of metric {name!r}, found {info.get('direction')!r}")
        if not isinstance(info.get("version"), int):
            raise ReportError(f"expected an integer version of metric {name!r}, found {info.get('version')!r}")
    return run


def _check_names(run: dict[str, Any], rows: pd.DataFrame) -> None:
    if rows.empty:
        raise ReportError("results.parquet has no rows: run the suite first")
    # A failed or skipped row may leave the metric empty: it then speaks of every metric.
    named = rows[(rows["metric"] != "") | (rows["status"] == "ok")]
    for column, key, part in (
        ("method", "methods", rows),
        ("dataset", "datasets", rows),
        ("metric", "metrics", named),
    ):
        unknown = sorted(set(part[column]) - set(run[key]))
        if unknown:
            raise ReportError(f"the rows name {key} that run.json lacks: {unknown}; known: {list(run[key])}")
    suites = sorted(set(rows["suite"]))
    if suites != [str(run.get("suite", ""))]:
        raise ReportError(f"expected rows of the suite {run.get('suite')!r} only, found {suites}")
    unknown = sorted(set(rows["status"]) - set(STATUSES))
    if unknown:
        raise ReportError(f"expected status {', '.join(STATUSES)}, found {unknown}")


def _check_values(rows: pd.DataFrame) -> None:
    twice = rows[rows.duplicated(KEY, keep=False)]
    if len(twice):
        first = twice.iloc[0][KEY].to_dict()
        raise ReportError(f"expected one row per {', '.join(KEY)}; found {len(twice)} that share one, first {first}")
    ok = rows[rows["status"] == "ok"]
    bad = ok[~np.isfinite(ok["value"]) | (ok["image"] == "")]
    if len(bad):
        first = bad.iloc[0][[*KEY, "value"]].to_dict()
        raise ReportError(f"expected an image and a finite value in ok rows; found {len(bad)} without, first {first}")
    silent = rows[(rows["status"] != "ok") & (rows["reason"].str.strip() == "")]
    if len(silent):
        first = silent.iloc[0][KEY].to_dict()
        raise ReportError(f"expected a reason in failed and skipped rows; found {len(silent)} without, first {first}")


def _check_versions(run: dict[str, Any], rows: pd.DataFrame) -> None:
    ok = rows[rows["status"] == "ok"]
    for metric, versions in ok.groupby("metric")["metric_version"].unique().items():
        present = sorted(int(version) for version in versions)
        expected = run["metrics"][metric]["version"]
        if present != [expected]:
            raise ReportError(
                f"metric {metric!r} is at version {expected}, its rows at {present}: numbers of different recipes do "
                "not share a column; score the run again"
            )
    for key, versions in ok.groupby(["method", "dataset", "protocol"])["method_version"].unique().items():
        if len(versions) > 1:
            present = sorted(int(version) for version in versions)
            raise ReportError(f"method, data set, protocol {key} mixes method versions {present}: run old rows again")
