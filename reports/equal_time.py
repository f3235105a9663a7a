"""Methods at equal time: each point of a method's curve against what another method's curve has at that time.

A curve is a method at several settings (NAME and NAME@steps=300). Its values between two points are interpolated,
image by image, linearly in the logarithm of time; nothing is said of times that a curve does not come near.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from reports.frame import Results
from reports.statistics import LEVEL
from reports.table import Cell, Column, Row, Table
from reports.tabulate import column, difference_cell

TIME = "cpu_seconds"
BEYOND = 1.25  # a time later than a curve's last point by no more than this factor is compared with that point


def curves(methods: Iterable[str]) -> list[list[str]]:
    """Methods that differ in settings only (NAME and NAME@key=value), each group of at least two in its order."""
    groups: dict[str, list[str]] = {}
    for method in methods:
        groups.setdefault(method.partition("@")[0], []).append(method)
    return [group for group in groups.values() if len(group) > 1]


def equal_time(results: Results, dataset: str, protocol: str) -> Table | None:
    """A row for each point of a curve and each earlier curve of the suite that reaches its time.

    Args:
        results: a run.
        dataset, protocol: a part of it.

    Returns:
        The table; None with less than two curves, where costs were not measured, or on more than one kind of device.
    """
    costs = results.costs(dataset, protocol)
    measured = costs[(costs["metric"] == TIME) & (costs["status"] == "ok")]
    # Median: the last batch of a data set may be half empty, and its images cost more than they need to.
    times = measured.groupby("method")["value"].median()
    found = [group for group in curves(results.part_methods(dataset, protocol)) if set(group) <= set(times.index)]
    columns = tuple(column(results, metric) for metric in results.part_metrics(dataset, protocol))
    pairs = [(point, other) for n, group in enumerate(found) for point in group for other in found[:n]
             if times[other].min() <= times[point] <= BEYOND * times[other].max()]  # fmt: skip
    if not pairs or len(measured.groupby(["device", "precision"])) != 1:
        return None
    rows = []
    for point, other in pairs:
        labels = results.title("methods", point), _family(results, other[0]), f"{times[point]:.1f}"
        cells = tuple(_cell(results, one, dataset, protocol, point, times[other], times[point]) for one in columns)
        rows.append(Row(point, labels, cells))
    return Table(
        kind="paired", dataset=dataset, protocol=protocol, columns=columns, rows=tuple(rows),
        title=f"{results.title('datasets', dataset)}, protocol {protocol}: at equal time",
        caption="Difference between a method and another one that is given as many processor seconds, paired by "
        f"image, with {LEVEL:.0%} intervals; in parentheses the number of images on which the method is better. The "
        "other's values are interpolated between its settings, in the logarithm of time; its last setting stands for "
        f"times up to {BEYOND:g} times its own. Bold: better, and the interval excludes zero.",
        headers=("method", "compared with", "processor s"),
    )  # fmt: skip


def _family(results: Results, method: str) -> str:
    """The title of a curve: of the method without further settings, where the run has it."""
    name = method.partition("@")[0]
    return results.title("methods", name if name in results.methods else method)


def _cell(
    results: Results, metric: Column, dataset: str, protocol: str, point: str, others: pd.Series, seconds: float
) -> Cell:
    values = results.values(metric.name, dataset, protocol)[[point, *others.index]].dropna()
    if values.empty:
        return Cell(reason="no image is ok for all points of both curves")
    interpolated = at_time(values[list(others.index)].to_numpy(), list(others), seconds)
    return difference_cell(results, metric, dataset, values[point], pd.Series(interpolated, index=values.index))


def at_time(values: np.ndarray, times: Sequence[float], seconds: float) -> np.ndarray:
    """Values [images] of a curve at a time.

    Args:
        values: [images, points].
        times: of the points, in seconds, in any order.
        seconds: the time asked for; outside the curve it has the value of its nearest end.
    """
    order = np.argsort(times)
    logs = np.log(np.asarray(times)[order])
    return np.array([np.interp(np.log(seconds), logs, row[order]) for row in values])
