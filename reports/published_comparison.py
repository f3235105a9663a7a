"""Comparison with published numbers where data set, generator and recipe agree; a warning where they do not.

A suite lists published tables (`published`); reports/published.yaml says which metric of the suite each of their
columns is, or how it differs. Nothing is marked as best, as others measured the published numbers.
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
HEADERS = ("source", "numbers", "reason")


def tables(results: Results) -> list[Table]:
    """A table for each data set that has published numbers of the run's methods."""
    candidates = [_table(results, dataset) for dataset in results.datasets]
    return [table for table in candidates if table is not None]


def warnings(results: Results) -> list[Listing]:
    """The published numbers that are not compared, with reasons; empty where the suite lists no published table."""
    rows = [row for name in _named(results) for row in _warnings(results, published.entry(name))]
    if not _named(results):
        return []
    return [Listing("Published numbers that are not compared", HEADERS, tuple(rows), "None: all recipes agree.")]


def _named(results: Results) -> Sequence[str]:
    names: Sequence[str] = (results.run.get("config") or {}).get("published") or []
    return names


def _mismatch(results: Results, entry: Mapping[str, Any]) -> str:
    """Why no number of a published table applies to this run; empty where they may apply."""
    if entry["dataset"] not in results.datasets:
        return f"of the data set {entry['dataset']}, which is not in this run"
    generator = str((results.run.get("generator") or {}).get("name", ""))
    return "" if generator == entry["generator"] else f"of the generator {entry['generator']}; this run: {generator}"


def _protocol(results: Results, dataset: str, metric: str) -> str:
    """The protocol under which the metric was measured on a data set; empty where there is none."""
    return next((p for name, p in results.parts if name == dataset and metric in results.part_metrics(name, p)), "")


def _table(results: Results, dataset: str) -> Table | None:
    entries = {name: entry for name in _named(results) if (entry := published.entry(name))["dataset"] == dataset
               and not _mismatch(results, entry)}  # fmt: skip
    methods = [m for m in results.methods if any(m in entry.get("methods", {}).values() for entry in entries.values())]
    columns: list[Column] = []
    cells: list[list[Cell]] = []
    used: list[Mapping[str, Any]] = []
    for metric in results.metrics:
        protocol = _protocol(results, dataset, metric)
        every = {name: _values(entry, metric, methods) for name, entry in entries.items()}
        printed = {name: values for name, values in every.items() if any(cell.text for cell in values)}
        if not protocol or not printed:
            continue
        own = column(results, metric)
        columns.append(replace(own, title=MEASURED, unit="", group=own.heading, recipe="", shared="", section=""))
        cells.append([replace(cell, mark="") for cell in mean_cells(results, own, dataset, protocol, methods)])
        for name, values in printed.items():
            columns.append(Column(f"{name}.{metric}", entries[name]["short"], own.direction, group=own.heading))
            cells.append(values)
            used.append(entries[name])
    if not columns:
        return None
    rows = tuple(
        Row(method, (results.title("methods", method),), tuple(part[index] for part in cells))
        for index, method in enumerate(methods)
    )
    name = f"{results.title('datasets', dataset)} (n = {results.expected(dataset)})"
    return Table(
        kind="published", dataset=dataset, protocol="", title=f"Comparison with published numbers: {name}",
        caption=_caption(results, dataset, used), headers=("method",), columns=tuple(columns), rows=rows,
        dagger="Over the images on which all methods have a value.",
    )  # fmt: skip


def _values(entry: Mapping[str, Any], metric: str, methods: Sequence[str]) -> list[Cell]:
    """A source's numbers of a metric for the run's methods; cells without text where it has none."""
    index = next((n for n, column in enumerate(entry["columns"].values()) if column.get("metric") == metric), None)
    rows = {method: row for row, method in entry.get("methods", {}).items()}
    if index is None:
        return [Cell()] * len(methods)
    reason = f"{entry['short']} has no such number"
    return [published.cell(entry["rows"][rows[m]][index] if m in rows else None, reason) for m in methods]


def _caption(results: Results, dataset: str, used: Sequence[Mapping[str, Any]]) -> str:
    text = (
        "Means of this run and numbers published under the same recipe; as others measured those, nothing is marked as "
    )
    text += "best. Recipes of this run: section Metrics."
    for one in {entry["short"]: entry for entry in used}.values():
        text += f" {one['short']}: {one['source']} ({one['via']}; {one['recipe']})."
    counts = sorted({entry["n"] for entry in used if "n" in entry})
    if any(count != results.expected(dataset) for count in counts):
        text += (
            f" Warning: published over {', '.join(map(str, counts))} images, this run has {results.expected(dataset)}."
        )
    return text


def _warnings(results: Results, entry: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    source = f"{entry['short']}, {entry['title']}"
    if reason := _mismatch(results, entry):
        return [(source, "all", reason)]
    rows = []
    for one in entry["columns"].values():
        reason = one.get("differs", "")
        if not reason and not _protocol(results, entry["dataset"], one["metric"]):
            reason = f"{one['metric']} is not measured in this run"
        if reason:
            rows.append((source, one["title"], reason))
    rows += [(source, f"row {row}", reason) for row, reason in entry.get("other_methods", {}).items()]
    mapped = set(entry.get("methods", {}).values())
    if not mapped & set(results.methods):
        rows.append((source, "all rows", "none of its methods is in this run"))
    return rows
