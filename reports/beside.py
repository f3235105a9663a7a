"""Published numbers beside measured ones: where data set, generator and recipe agree; a warning where they do not.

A suite names the published tables (`published`); reports/published.yaml says which metric of this suite each of their
columns is, or how it differs. Nothing is marked as best across the two: they were measured by others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reports import published
from reports.frame import Results
from reports.listings import Listing
from reports.table import Cell, Column, Row, Table
from reports.tabulate import column, mean_cells

MEASURED = "this run"
HEADERS = ("source", "numbers", "why")


def tables(results: Results) -> list[Table]:
    """One table for each data set that has published numbers of the run's methods."""
    found = [_table(results, dataset) for dataset in results.datasets]
    return [each for each in found if each is not None]


def warnings(results: Results) -> list[Listing]:
    """What is published and not set beside, with the reason of each; nothing where the suite names no table."""
    rows = [row for name in _named(results) for row in _warnings(results, published.entry(name))]
    if not _named(results):
        return []
    return [Listing("Published numbers that are not set beside", HEADERS, tuple(rows), "None: every recipe agrees.")]


def _named(results: Results) -> Sequence[str]:
    names: Sequence[str] = (results.run.get("config") or {}).get("published") or []
    return names


def _elsewhere(results: Results, entry: Mapping[str, Any]) -> str:
    """Why no number of a published table is about this run; empty where they may be."""
    if entry["dataset"] not in results.datasets:
        return f"of the data set {entry['dataset']}, which the run does not have"
    generator = str((results.run.get("generator") or {}).get("name", ""))
    return (
        "" if generator == entry["generator"] else f"of the generator {entry['generator']}, this run's is {generator}"
    )


def _protocol(results: Results, dataset: str, metric: str) -> str:
    """The protocol under which a data set has the metric; empty where it has none."""
    return next((p for name, p in results.parts if name == dataset and metric in results.part_metrics(name, p)), "")


def _table(results: Results, dataset: str) -> Table | None:
    entries = {name: published.entry(name) for name in _named(results)}
    entries = {
        name: each for name, each in entries.items() if each["dataset"] == dataset and not _elsewhere(results, each)
    }
    methods = [m for m in results.methods if any(m in each.get("methods", {}).values() for each in entries.values())]
    columns: list[Column] = []
    cells: list[list[Cell]] = []
    used: list[Mapping[str, Any]] = []
    for metric in results.metrics:
        protocol = _protocol(results, dataset, metric)
        theirs = {name: _values(each, metric, methods) for name, each in entries.items()}
        theirs = {name: values for name, values in theirs.items() if any(cell.text for cell in values)}
        if not protocol or not theirs:
            continue
        own = column(results, metric)
        columns.append(replace(own, title=MEASURED, unit="", group=own.heading, recipe="", shared="", section=""))
        cells.append([replace(cell, mark="") for cell in mean_cells(results, own, dataset, protocol, methods)])
        for name, values in theirs.items():
            columns.append(Column(f"{name}.{metric}", entries[name]["short"], own.direction, group=own.heading))
            cells.append(values)
            used.append(entries[name])
    if not columns:
        return None
    rows = tuple(
        Row(method, (results.title("methods", method),), tuple(part[place] for part in cells))
        for place, method in enumerate(methods)
    )
    return Table(
        kind="published", dataset=dataset, protocol="", title=f"Beside published numbers: {_set(results, dataset)}",
        caption=_caption(results, dataset, used), headers=("method",), columns=tuple(columns), rows=rows,
        dagger="Over the images for which all methods gave a value.",
    )  # fmt: skip


def _set(results: Results, dataset: str) -> str:
    return f"{results.title('datasets', dataset)} (n = {results.expected(dataset)})"


def _values(entry: Mapping[str, Any], metric: str, methods: Sequence[str]) -> list[Cell]:
    """A source's numbers of a metric for the run's methods; without text where it has none."""
    place = next((n for n, each in enumerate(entry["columns"].values()) if each.get("metric") == metric), None)
    rows = {method: row for row, method in entry.get("methods", {}).items()}
    if place is None:
        return [Cell()] * len(methods)
    reason = f"{entry['short']} has no such number"
    texts = [entry["rows"][rows[method]][place] if method in rows else None for method in methods]
    return [Cell(value=float(text), text=text) if text is not None else Cell(reason=reason) for text in texts]


def _caption(results: Results, dataset: str, used: Sequence[Mapping[str, Any]]) -> str:
    sources = {each["short"]: f"{each['short']}: {each['source']} ({each['via']}; {each['recipe']})." for each in used}
    parts = [
        "Means of this run, and beside them what others print under the same recipe; they were measured by others, and "
        "nothing is marked as best. Recipes of this run: section Metrics.",
        *sources.values(),
    ]
    counts = sorted({each["n"] for each in used if "n" in each})
    if any(count != results.expected(dataset) for count in counts):
        parts.append(f"Warning: published over {', '.join(map(str, counts))} images, this run has "
                     f"{results.expected(dataset)}.")  # fmt: skip
    return " ".join(parts)


def _warnings(results: Results, entry: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    source = f"{entry['short']}, {entry['title']}"
    if reason := _elsewhere(results, entry):
        return [(source, "all", reason)]
    rows = []
    for each in entry["columns"].values():
        reason = each.get("differs", "")
        if not reason and not _protocol(results, entry["dataset"], each["metric"]):
            reason = f"{each['metric']} is not measured in this run"
        if reason:
            rows.append((source, each["title"], reason))
    rows += [(source, f"row {row}", reason) for row, reason in entry.get("apart", {}).items()]
    mapped = set(entry.get("methods", {}).values())
    if not mapped & set(results.methods):
        rows.append((source, "all rows", "none of its methods is in this run"))
    return rows
