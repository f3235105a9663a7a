"""Listings of plain text around the tables: methods, data sets, recipes, failures, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports import tabulate
from reports.frame import Results
from reports.table import common, number

# Keys of run.json's versions and generator that differ between equal runs, or name a machine.
VOLATILE = ("commit", "date", "time", "timestamp", "created", "started", "finished", "host", "hostname", "user")
FIRST_IDS = 3


@dataclass(frozen=True)
class Listing:
    """A table of plain texts, with notes below it; the text `empty` replaces a table without rows."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = ""
    notes: tuple[str, ...] = ()


def listings(results: Results) -> tuple[Listing, ...]:
    """Methods and data sets, which come before the tables; metrics, failures, seeds, provenance, which follow them."""
    methods = ("method", "title", "stages", "space", "paper", "year", "reimplementation", "note")
    datasets = ("data set", "title", "domain", "images", "failed", "licence", "recipe", "key")
    metrics = ("metric", "recipe", "version", "name", "better", "unit", "range", "reference")
    lost = ("data set", "protocol", "method", "status", "reason", "metrics", "images", "first images")
    spread = ("data set", "metric", "method", "seeds", "standard deviation", "lowest", "highest")
    seeds = tuple(_seeds(results)) if results.rows["seed"].nunique() > 1 else ()
    shared = common(tabulate.column(results, name) for name in results.metrics)
    return (
        Listing("Methods", methods, tuple(_methods(results))),
        Listing("Data sets", datasets, tuple(_datasets(results))),
        Listing("Metrics", metrics, tuple(_metrics(results)), notes=shared),
        Listing("Failures", lost, tuple(failures(results)), "None: all methods have all images and metrics."),
        *[Listing("Means of single seeds", spread, seeds)] * bool(seeds),
        Listing("Provenance", ("key", "value"), tuple(_provenance(results))),
    )


def failures(results: Results) -> Iterator[tuple[str, ...]]:
    """Images without a value by reason: data set, protocol, method, status, reason, metrics, count, first ids.

    A data set that could not be had is a row, too.
    """
    for dataset, reason in results.run.get("absent", {}).items():
        yield (dataset, "all", "all", "left out", reason, "all", "all", "")
    for dataset, protocol in results.parts:
        rows = results.scores(dataset, protocol)
        lost = rows[rows["status"] != "ok"]
        for method in results.part_methods(dataset, protocol):
            own = lost[lost["method"] == method]
            head = (dataset, protocol, method)
            for key, group in own.groupby(["status", "reason"], sort=True):
                named = set(group["metric"])
                which = "all" if "" in named or named >= set(results.metrics) else ", ".join(
                    metric for metric in results.metrics if metric in named)  # fmt: skip
                ids = sorted(set(group["image"]) - {""})
                more = ", ..." * (len(ids) > FIRST_IDS)
                first = ", ".join(ids[:FIRST_IDS]) + more
                yield (*head, str(key[0]), str(key[1]), which, str(len(ids) or "all"), first)
            all_images = (own["image"] == "").any()
            absent = results.expected(dataset, protocol) - rows.loc[rows["method"] == method, "image"].nunique()
            if absent and not all_images:
                yield (*head, "missing", "not run", "all", str(absent), "")


def _methods(results: Results) -> Iterator[tuple[str, ...]]:
    for name, info in results.run["methods"].items():
        texts = [_text(info.get(key)) for key in ("title", "stages", "space", "paper", "year")]
        reimplementation = {True: "yes", False: "no"}.get(info.get("reimplementation"), "")
        yield (name, *texts, reimplementation, _text(info.get("note")))


def _datasets(results: Results) -> Iterator[tuple[str, ...]]:
    lost = results.failures
    for name, info in results.run["datasets"].items():
        images = lost.loc[(lost["dataset"] == name) & (lost["image"] != ""), "image"].nunique()
        head = (name, _text(info.get("title")), _text(info.get("domain")), str(info["n"]), str(images))
        yield (*head, *(_text(info.get(key)) for key in ("licence", "recipe", "key")))


def _metrics(results: Results) -> Iterator[tuple[str, ...]]:
    for name in results.metrics:
        info = results.info(name)
        low, high = info.get("range") or (None, None)
        bounds = f"{'-∞' if low is None else _text(low)} to {'∞' if high is None else _text(high)}"
        head = (results.title("metrics", name), _text(info.get("recipe")), str(info["version"]), name)
        yield (*head, info["direction"], _text(info.get("unit")), bounds, _text(info.get("reference")))


def _seeds(results: Results) -> Iterator[tuple[str, ...]]:
    """How far the mean of one seed is from those of others: what a table of a single seed would not show."""
    for dataset, protocol in results.parts:
        scores = results.scores(dataset, protocol)
        for metric in results.part_metrics(dataset, protocol):
            digits = int(results.info(metric).get("digits", 3)) + 1
            own = scores[(scores["status"] == "ok") & (scores["metric"] == metric)]
            means = own.groupby(["method", "seed"])["value"].mean().unstack("seed")
            for method in (name for name in results.part_methods(dataset, protocol) if name in means.index):
                values = means.loc[method].dropna().to_numpy(dtype=float)
                if len(values) > 1:
                    numbers = (number(float(v), digits) for v in (values.std(ddof=1), values.min(), values.max()))
                    titles = results.title("metrics", metric), results.title("methods", method)
                    yield (dataset, *titles, str(len(values)), *numbers)


def _provenance(results: Results) -> Iterator[tuple[str, str]]:
    yield "suite", _text(results.run.get("suite"))
    for column in ("device", "precision", "seed"):
        yield column, ", ".join(distinct(results, column))
    for section in ("generator", "versions"):
        for key, value in _flat(results.run.get(section) or {}):
            yield f"{section}: {key}" if section == "generator" else key, value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if key.lower() in VOLATILE:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:  # of a path, only the file name says which file it is
            text = Path(value).name if isinstance(value, str) and Path(value).is_absolute() else _text(value)
            yield prefix + key, text


def _text(value: Any) -> str:
    if value is None:
        return ""
    return " + ".join(_text(part) for part in value) if isinstance(value, list | tuple) else str(value)


def distinct(results: Results, column: str) -> list[str]:
    """Sorted distinct values of a column of the rows, as text."""
    return [str(value) for value in sorted(set(results.rows[column]) - {""})]
