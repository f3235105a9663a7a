"""Charts of a run: quality over seconds, one metric against others, distributions over images, paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from reports.equal_time import curves
from reports.figures.style import colour, heading, legend, marker, panels, plain, style, title
from reports.frame import Results
from reports.statistics import Direction, better, sign
from reports.table import Cell, Column, Row, Table

LINE = 0.17  # inches per method where methods are listed below each other
POINTS = 100  # the images are drawn as points up to this number


def quality_over_seconds(quality: Table, costs: Table, order: Sequence[str]) -> dict[tuple[str, ...], Figure]:
    """Quality over seconds (logarithmic), a panel per metric, with the Pareto front of the methods; a curve
    joins what differs in settings only (METHOD and METHOD@steps=300).

    Args:
        quality, costs: tables of means and of costs, of the same data set and protocol.
        order: all methods of the run, so that a method has the same colour and marker in all figures.

    Returns:
        A figure for each (device, precision, batch size); empty when no method has both values.
    """
    seconds = next((index for index, column in enumerate(costs.columns) if column.name == "seconds"), None)
    if seconds is None:
        return {}
    timed: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in costs.rows:
        value = row.cells[seconds].value
        if value is not None and value > 0:
            timed.setdefault(row.labels[1:], {})[row.method] = row.cells[seconds]
    return {group: _fronts(quality, times, group, order) for group, times in sorted(timed.items())}


def scatter(across: Table, metric: str, up: Table, order: Sequence[str]) -> Figure | None:
    """Metrics of one table against a metric of another, a point with intervals per method.

    With distortion on x and an editing protocol on y, this is the distortion-editability plane.

    Args:
        across: the table of the x axis.
        metric: name of its column.
        up: the table of the y axes, of the same data set; a panel for each of its other metrics.
        order: all methods of the run.

    Returns:
        The figure; None where no method has both values.
    """
    index = next(index for index, column in enumerate(across.columns) if column.name == metric)
    base = across.columns[index]
    x = {row.method: row.cells[index] for row in across.rows}
    others = [i for i, column in enumerate(up.columns) if (column.name, up.protocol) != (metric, across.protocol)]
    pairs = {i: {row.method: (x[row.method], row.cells[i]) for row in up.rows
                 if _both(x.get(row.method), row.cells[i])} for i in others}  # fmt: skip
    points = {i: of_column for i, of_column in pairs.items() if of_column}
    if not points:
        return None
    with style():
        figure, axes = panels(len(points), 2.6, 2.3, 0.9)
        for axis, (i, of_column) in zip(axes, points.items(), strict=True):
            _points(axis, up.rows, of_column, order)
            axis.set_xlabel(heading(base), parse_math=False)
            axis.set_title(heading(up.columns[i]), parse_math=False)
        title(figure, f"{up.title}, against {base.title} of protocol {across.protocol}")
        legend(figure, axes)
    return figure


def distributions(results: Results, table: Table) -> Figure:
    """Box plots over images, a panel per metric: quartiles, with whiskers to the 5th and 95th percentile."""
    methods = [row.method for row in table.rows]
    with style():
        figure, axes = panels(len(table.columns), 2.6, LINE * len(methods) + 0.7, 0.3)
        for panel, (axis, column) in enumerate(zip(axes, table.columns, strict=True)):
            values = results.values(column.name, table.dataset, table.protocol)
            indices = [results.methods.index(method) for method in methods]
            _boxes(axis, [values[method].dropna().sort_index().to_numpy() for method in methods], indices)
            _lines(axis, [row.labels[0] for row in table.rows], panel)
            axis.set_title(heading(column), parse_math=False)
        title(figure, f"{table.title}: distribution over images")
    return figure


def differences(table: Table, order: Sequence[str]) -> Figure:
    """Mean differences of a paired table with intervals and wins, a panel per metric."""
    with style():
        figure, axes = panels(len(table.columns), 2.6, LINE * len(table.rows) + 0.8, 0.3)
        for panel, (axis, column) in enumerate(zip(axes, table.columns, strict=True)):
            axis.axvline(0.0, color="black", linewidth=0.8)
            cells = [row.cells[panel] for row in table.rows]
            known = [index for index, cell in enumerate(cells) if cell.value is not None]
            styles = [order.index(row.method) for row in table.rows]
            _across(axis, known, [cells[index] for index in known], [styles[index] for index in known])
            for index, cell in enumerate(cells):
                if cell.value is None:
                    _absent(axis, index)
                    continue
                # Filled: the interval excludes zero, as in the table.
                _mark(axis, styles[index], cell.value, index, fill=cell.mark in ("better", "worse"))
                _annotate(axis, 1.01, index, f"{cell.wins}/{cell.n}", 5)
            _lines(axis, [row.labels[0] for row in table.rows], panel)
            axis.set_title(heading(column), parse_math=False)
            axis.set_xlabel("better →" if better(1.0, column.direction) else "← better")
        title(figure, f"{table.title}: mean difference, and number of images on which the method is better")
    return figure


def front(points: Mapping[str, tuple[float, float]], direction: Direction) -> list[str]:
    """The Pareto front: names of the points (seconds, quality) that no other point dominates, from fast to slow."""
    best, names = -np.inf, []
    gains = {name: (seconds, sign(direction) * quality) for name, (seconds, quality) in points.items()}
    for name, (_, gain) in sorted(gains.items(), key=lambda item: (item[1][0], -item[1][1], item[0])):
        if gain > best:
            best = gain
            names.append(name)
    return names


def _both(left: Cell | None, right: Cell) -> bool:
    return left is not None and left.value is not None and right.value is not None


def _points(axis: Axes, rows: Sequence[Row], points: Mapping[str, tuple[Cell, Cell]], order: Sequence[str]) -> None:
    """A point with both intervals for each method."""
    rows = [row for row in rows if row.method in points]
    indices = [order.index(row.method) for row in rows]
    pairs = [points[row.method] for row in rows]
    _across(axis, [_value(y) for _, y in pairs], [x for x, _ in pairs], indices)
    low, high = [y.low or 0.0 for _, y in pairs], [y.high or 0.0 for _, y in pairs]
    axis.vlines([_value(x) for x, _ in pairs], low, high, colors=[colour(index) for index in indices], linewidths=1)
    for row, index, (x, y) in zip(rows, indices, pairs, strict=True):
        # A label that starts with an underscore would be left out of the legend.
        _mark(axis, index, _value(x), _value(y), label=" " + row.labels[0])


def _across(axis: Axes, heights: Sequence[float], cells: Sequence[Cell], indices: Sequence[int]) -> None:
    """Horizontal intervals as one artist, as hundreds of lines would take most of the time of a report."""
    low, high = [cell.low or 0.0 for cell in cells], [cell.high or 0.0 for cell in cells]
    axis.hlines(heights, low, high, colors=[colour(index) for index in indices], linewidths=1)


def _mark(axis: Axes, index: int, x: float, y: float, fill: bool = True, label: str = "") -> None:
    axis.plot([x], [y], marker=marker(index), markersize=5, linestyle="none", color=colour(index), label=label or None,
              markerfacecolor=colour(index) if fill else "white")  # fmt: skip


def _value(cell: Cell) -> float:
    assert cell.value is not None
    return cell.value


def _annotate(axis: Axes, x: float, index: int, text: str, size: int) -> None:
    axis.text(x, index, text, transform=axis.get_yaxis_transform(), va="center", fontsize=size)


def _absent(axis: Axes, index: int) -> None:
    _annotate(axis, 0.02, index, "n/a", 6)


def _fronts(quality: Table, times: dict[str, Cell], group: tuple[str, ...], order: Sequence[str]) -> Figure:
    with style():
        figure, axes = panels(len(quality.columns), 2.6, 2.2, 0.9)
        for index, (axis, column) in enumerate(zip(axes, quality.columns, strict=True)):
            _front(axis, quality, index, column, times, order)
        title(figure, f"{quality.title}\n{', '.join(group[:-1])}, batch size {group[-1]}")
        legend(figure, axes)
    return figure


def _front(
    axis: Axes, quality: Table, index: int, column: Column, times: dict[str, Cell], order: Sequence[str]
) -> None:
    points = {row.method: (times[row.method], row.cells[index]) for row in quality.rows
              if _both(times.get(row.method), row.cells[index])}  # fmt: skip
    values = {name: (_value(x), _value(y)) for name, (x, y) in points.items()}
    if line := [values[name] for name in front(values, column.direction)]:
        axis.plot(*zip(*line, strict=True), color="grey", linewidth=0.8, drawstyle="steps-post")
    for curve in curves(points):
        axis.plot(
            *zip(*sorted(values[name] for name in curve), strict=True), color=colour(order.index(curve[0])), linewidth=1
        )
    _points(axis, quality.rows, points, order)
    axis.set_xscale("log")
    seconds = [x for x, _ in values.values()]
    near = bool(seconds) and max(seconds) < 30 * min(seconds)  # over more decades, minor ticks would not be legible
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds per image")
    axis.set_title(heading(column), parse_math=False)


def _boxes(axis: Axes, values: Sequence[np.ndarray], styles: Sequence[int]) -> None:
    known = [index for index, of_method in enumerate(values) if len(of_method)]
    colours = [colour(styles[index]) for index in known]
    ends = [np.quantile(values[index], (0.05, 0.25, 0.5, 0.75, 0.95)) for index in known]
    low, first, middle, third, high = np.array(ends).reshape(-1, 5).T
    axis.hlines(known, low, high, colors=colours, linewidths=1)
    axis.barh(known, third - first, left=first, height=0.6, edgecolor=colours, facecolor="white", linewidth=1)
    axis.vlines(middle, np.subtract(known, 0.3), np.add(known, 0.3), colors="black", linewidths=1.2, zorder=3)
    for index, of_method in enumerate(values):
        if not len(of_method):
            _absent(axis, index)
        elif len(of_method) <= POINTS:  # jittered by the golden ratio: even and deterministic
            spread = (np.arange(len(of_method)) * 0.618034 % 1 - 0.5) * 0.5
            axis.plot(
                of_method, index + spread, ".", color=colour(styles[index]), markersize=2, alpha=0.6, markeredgewidth=0
            )


def _lines(axis: Axes, labels: Sequence[str], panel: int) -> None:
    """Methods below each other, the first on top; their names are printed at the left panels only."""
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_yticks(range(len(labels)), plain(labels) if panel % 3 == 0 else [""] * len(labels))
    axis.grid(axis="y", visible=False)
