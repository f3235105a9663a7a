"""Numbers of a run against each other: two metrics, quality over seconds, spread over images, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from reports.figures.style import colour, heading, legend, marker, panels, plain, style
from reports.frame import Results
from reports.statistics import Direction
from reports.table import Cell, Column, Row, Table

LINE = 0.17  # inches of a method's line where methods stand below each other
POINTS = 100  # up to so many images, each is a point beside its box


def quality_over_seconds(quality: Table, costs: Table, order: Sequence[str]) -> dict[tuple[str, ...], Figure]:
    """A figure for each (device, precision, batch size) of the costs: a panel per metric, x seconds on a log scale,
    and the front: the methods that no other beats in both.

    Both tables are of the same data set and protocol. order: all methods of the run, so that a method looks the same
    in every figure. Empty when no method has both a quality and a time.
    """
    seconds = next((place for place, column in enumerate(costs.columns) if column.name == "seconds"), None)
    if seconds is None:
        return {}
    timed: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in costs.rows:
        value = row.cells[seconds].value
        if value is not None and value > 0:
            timed.setdefault(row.labels[1:], {})[row.method] = row.cells[seconds]
    return {group: _fronts(quality, times, group, order) for group, times in sorted(timed.items())}


def scatter(across: Table, metric: str, up: Table, order: Sequence[str]) -> Figure | None:
    """A panel for each metric of the table `up` against one metric of `across`, a point with intervals a method.

    Both tables are of the same data set; with distortion across and an editing protocol up, this is the
    distortion-editability plane. None where no method has both numbers.
    """
    place = next(place for place, column in enumerate(across.columns) if column.name == metric)
    base = across.columns[place]
    known = {row.method: row.cells[place] for row in across.rows}
    wanted = [at for at, column in enumerate(up.columns) if (column.name, up.protocol) != (metric, across.protocol)]
    wanted = [at for at in wanted if any(_both(known.get(row.method), row.cells[at]) for row in up.rows)]
    if not wanted:
        return None
    with style():
        figure, axes = panels(len(wanted), 2.6, 2.3, 0.9)
        for axis, at in zip(axes, wanted, strict=True):
            points = {row.method: (known[row.method], row.cells[at]) for row in up.rows
                      if _both(known.get(row.method), row.cells[at])}  # fmt: skip
            _points(axis, up.rows, points, order)
            axis.set_xlabel(heading(base), parse_math=False)
            axis.set_title(heading(up.columns[at]), parse_math=False)
        figure.suptitle(f"{up.title}, against {base.title} of protocol {across.protocol}", parse_math=False)
        legend(figure, axes)
    return figure


def distributions(results: Results, table: Table) -> Figure:
    """A panel per metric, a line per method: box of the images' quartiles, whiskers to the 5th and 95th percentile."""
    methods = [row.method for row in table.rows]
    with style():
        figure, axes = panels(len(table.columns), 2.6, LINE * len(methods) + 0.7, 0.3)
        for index, (axis, column) in enumerate(zip(axes, table.columns, strict=True)):
            values = results.values(column.name, table.dataset, table.protocol)
            places = [results.methods.index(method) for method in methods]
            _boxes(axis, [values[method].dropna().sort_index().to_numpy() for method in methods], places)
            _lines(axis, [row.labels[0] for row in table.rows], index)
            axis.set_title(heading(column), parse_math=False)
        figure.suptitle(f"{table.title}: each image", parse_math=False)
    return figure


def differences(table: Table, order: Sequence[str]) -> Figure:
    """A panel per metric of a paired table: mean difference to the reference with its interval, and images won."""
    with style():
        figure, axes = panels(len(table.columns), 2.6, LINE * len(table.rows) + 0.8, 0.3)
        for index, (axis, column) in enumerate(zip(axes, table.columns, strict=True)):
            axis.axvline(0.0, color="black", linewidth=0.8)
            cells = [row.cells[index] for row in table.rows]
            known = [place for place, cell in enumerate(cells) if cell.value is not None]
            looks = [order.index(row.method) for row in table.rows]
            _across(axis, known, [cells[place] for place in known], [looks[place] for place in known])
            for place, cell in enumerate(cells):
                if cell.value is None:
                    _absent(axis, place)
                    continue
                # Filled: the interval excludes zero, as in the table.
                _mark(axis, looks[place], cell.value, place, fill=bool(cell.mark))
                _beside(axis, 1.01, place, f"{cell.wins}/{cell.n}", 5)
            _lines(axis, [row.labels[0] for row in table.rows], index)
            axis.set_title(heading(column), parse_math=False)
            axis.set_xlabel("← better" if column.direction == "lower" else "better →")
        figure.suptitle(f"{table.title}: mean difference, and images won", parse_math=False)
    return figure


def front(points: Mapping[str, tuple[float, float]], direction: Direction) -> list[str]:
    """Names of the points (seconds, quality) that no other point beats in both, from fast to slow."""
    sign = 1.0 if direction == "lower" else -1.0
    best, found = np.inf, []
    for name, (_, quality) in sorted(points.items(), key=lambda item: (item[1][0], sign * item[1][1], item[0])):
        if sign * quality < best:
            best = sign * quality
            found.append(name)
    return found


def _both(left: Cell | None, right: Cell) -> bool:
    return left is not None and left.value is not None and right.value is not None


def _points(axis: Axes, rows: Sequence[Row], points: Mapping[str, tuple[Cell, Cell]], order: Sequence[str]) -> None:
    """A point with both intervals for each method."""
    shown = [row for row in rows if row.method in points]
    places = [order.index(row.method) for row in shown]
    pairs = [points[row.method] for row in shown]
    _across(axis, [_value(y) for _, y in pairs], [x for x, _ in pairs], places)
    low, high = [y.low or 0.0 for _, y in pairs], [y.high or 0.0 for _, y in pairs]
    axis.vlines([_value(x) for x, _ in pairs], low, high, colors=[colour(place) for place in places], linewidths=1)
    for row, place, (x, y) in zip(shown, places, pairs, strict=True):
        # A label that begins with an underscore would be left out of the legend.
        _mark(axis, place, _value(x), _value(y), label=" " + row.labels[0])


def _across(axis: Axes, heights: Sequence[float], cells: Sequence[Cell], places: Sequence[int]) -> None:
    """Intervals from left to right: one artist for all, as hundreds of lines cost a report its time."""
    low, high = [cell.low or 0.0 for cell in cells], [cell.high or 0.0 for cell in cells]
    axis.hlines(heights, low, high, colors=[colour(place) for place in places], linewidths=1)


def _mark(axis: Axes, place: int, x: float, y: float, fill: bool = True, label: str = "") -> None:
    axis.plot([x], [y], marker=marker(place), markersize=5, linestyle="none", color=colour(place), label=label or None,
              markerfacecolor=colour(place) if fill else "white")  # fmt: skip


def _value(cell: Cell) -> float:
    assert cell.value is not None
    return cell.value


def _beside(axis: Axes, x: float, place: int, text: str, size: int) -> None:
    axis.text(x, place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=size)


def _absent(axis: Axes, place: int) -> None:
    _beside(axis, 0.02, place, "n/a", 6)


def _fronts(quality: Table, times: dict[str, Cell], group: tuple[str, ...], order: Sequence[str]) -> Figure:
    with style():
        figure, axes = panels(len(quality.columns), 2.6, 2.2, 0.9)
        for place, (axis, column) in enumerate(zip(axes, quality.columns, strict=True)):
            _front(axis, quality, place, column, times, order)
        figure.suptitle(f"{quality.title}\n{', '.join(group[:-1])}, batch size {group[-1]}", parse_math=False)
        legend(figure, axes)
    return figure


def _front(
    axis: Axes, quality: Table, place: int, column: Column, times: dict[str, Cell], order: Sequence[str]
) -> None:
    points = {row.method: (times[row.method], row.cells[place]) for row in quality.rows
              if _both(times.get(row.method), row.cells[place])}  # fmt: skip
    where = {name: (_value(x), _value(y)) for name, (x, y) in points.items()}
    if line := [where[name] for name in front(where, column.direction)]:
        axis.plot(*zip(*line, strict=True), color="grey", linewidth=0.8, drawstyle="steps-post")
    _points(axis, quality.rows, points, order)
    axis.set_xscale("log")
    seconds = [x for x, _ in where.values()]
    near = bool(seconds) and max(seconds) < 30 * min(seconds)  # over more decades, ticks between would not be legible
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds per image")
    axis.set_title(heading(column), parse_math=False)


def _boxes(axis: Axes, values: Sequence[np.ndarray], looks: Sequence[int]) -> None:
    known = [place for place, each in enumerate(values) if len(each)]
    colours = [colour(looks[place]) for place in known]
    ends = [np.quantile(values[place], (0.05, 0.25, 0.5, 0.75, 0.95)) for place in known]
    low, first, middle, third, high = np.array(ends).reshape(-1, 5).T
    axis.hlines(known, low, high, colors=colours, linewidths=1)
    axis.barh(known, third - first, left=first, height=0.6, edgecolor=colours, facecolor="white", linewidth=1)
    axis.vlines(middle, np.subtract(known, 0.3), np.add(known, 0.3), colors="black", linewidths=1.2, zorder=3)
    for place, each in enumerate(values):
        if not len(each):
            _absent(axis, place)
        elif len(each) <= POINTS:  # spread by the golden ratio: even, and the same every time
            spread = (np.arange(len(each)) * 0.618034 % 1 - 0.5) * 0.5
            axis.plot(each, place + spread, ".", color=colour(looks[place]), markersize=2, alpha=0.6, markeredgewidth=0)


def _lines(axis: Axes, labels: Sequence[str], index: int) -> None:
    """Methods below each other, the first on top; their names stand at the left panels only."""
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_yticks(range(len(labels)), plain(labels) if index % 3 == 0 else [""] * len(labels))
    axis.grid(axis="y", visible=False)
