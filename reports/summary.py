"""A run at a glance: one table, methods over data sets by headline metrics, and what every other report begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reports.frame import Results
from reports.layout import Layout, LayoutColumn, LayoutGroup, arrange
from reports.table import Cell, Column, Table, number

FIRST = 3


def headline(chosen: Sequence[str], measured: Sequence[str]) -> tuple[str, ...]:
    """The metrics that a summary shows: those of a suite's `headline` that were measured, else the first ones."""
    return tuple(name for name in chosen if name in measured) or tuple(measured[:FIRST])


def headline_of(results: Results) -> tuple[str, ...]:
    """The metrics that the summary of a run shows."""
    return headline((results.run.get("config") or {}).get("headline") or (), results.metrics)


def summary(results: Results, datasets: Sequence[str] = ()) -> Table:
    """Means of the headline metrics, a group of columns a data set, without intervals.

    Args:
        results: the run.
        datasets: those to show; all by default.
    """
    shown = headline_of(results)
    sets = tuple(datasets) or tuple(name for name in results.datasets if _has(results, name, shown))
    table = arrange(results, Layout(
        title="Summary", split="columns", datasets=list(sets or results.datasets), intervals=False,
        groups=[LayoutGroup(columns=[LayoutColumn(metric=name) for name in shown])],
    ))[0]  # fmt: skip
    rows = tuple(row for row in table.rows if any(cell.value is not None or cell.failures for cell in row.cells))
    return replace(table, dataset="", rows=rows or table.rows)


def _has(results: Results, dataset: str, metrics: Sequence[str]) -> bool:
    return any(
        metric in results.part_metrics(dataset, p) for d, p in results.parts if d == dataset for metric in metrics
    )


def seconds(results: Results) -> dict[str, float]:
    """Mean seconds an image, by method."""
    rows = results.rows[(results.rows["metric"] == "seconds") & (results.rows["status"] == "ok")]
    return {str(method): float(value) for method, value in rows.groupby("method")["value"].mean().items()}


def failed(results: Results) -> dict[str, int]:
    """Images with a failure, by method; an undefined metric is none, nor is what has not been run yet."""
    rows = results.rows[results.rows["status"].isin(["failed", "blocked"])]
    images = rows[["method", "dataset", "image"]].drop_duplicates()
    return {str(method): int(count) for method, count in images.groupby("method").size().items()}


def text(column: Column, cell: Cell) -> str:
    """A cell of a summary."""
    return "n/a" if cell.value is None else f"{number(cell.value, column.digits)}{'†' * cell.partial}"


def as_json(results: Results) -> dict[str, Any]:
    """The same for programs: by data set, method and metric the mean, n and whether it is among the best."""
    table = summary(results)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row, column, cell in table.cells():
        entry = {"mean": cell.value, "n": cell.n, "expected": cell.expected, "best": cell.mark == "best"}
        by_set = found.setdefault(column.dataset, {})
        by_set.setdefault(row.method, {})[column.name] = entry | ({"reason": cell.reason} if cell.value is None else {})
    return {"suite": results.run.get("suite"), "results": found, "seconds": seconds(results),
            "failed_images": failed(results)}  # fmt: skip
