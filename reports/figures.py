"""Figures of a run: pictures side by side, and quality over seconds. PNG and PDF, the same bytes every time.

Nothing of the user's matplotlib settings is used, nor pyplot's global state. Colours: Okabe and Ito's palette,
which colour-blind readers can tell apart, less its yellow (too pale in print); the marker differs too.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from PIL import Image

from reports.frame import ReportError, Results
from reports.table import Cell, Column, Table

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
TILE = 0.85  # inches
_STYLE = {"font.family": "DejaVu Sans", "font.size": 7.0, "pdf.fonttype": 42, "axes.grid": True, "grid.alpha": 0.3,
          "axes.axisbelow": True}  # fmt: skip


def choose_images(
    results: Results, dataset: str, protocol: str, number: int = 6, metric: str = "", method: str = ""
) -> tuple[str, ...]:
    """Image ids from worst over median to best by a metric of a method; without one, evenly spread over the ids."""
    if number < 1:
        raise ReportError(f"expected at least one image, found {number}")
    if not metric:
        rows = results.scores(dataset, protocol)
        ranked = sorted(set(rows["image"]) - {""})
    else:
        if metric not in results.run["metrics"] or method not in results.methods:
            raise ReportError(
                f"expected a metric of {list(results.run['metrics'])} and a method of {list(results.methods)}, "
                f"found {metric!r} and {method!r}"
            )
        values = results.values(metric, dataset, protocol)[method].dropna().sort_index()
        ascending = results.info(metric)["direction"] == "higher"
        ranked = list(values.sort_values(ascending=ascending, kind="stable").index)
    places = np.linspace(0, len(ranked) - 1, min(number, len(ranked))).round().astype(int)
    return tuple(ranked[place] for place in places)


def grid(
    results: Results, dataset: str, images: Sequence[str], methods: Sequence[str] = (), titles: Sequence[str] = ()
) -> Figure:
    """Rows images, columns target and methods. A picture that is not there is a tile that says n/a."""
    methods = tuple(methods) or results.methods
    if not images:
        raise ReportError(f"expected at least one image of {dataset} to draw, found none")
    files = ["target", *methods]
    heads = ["target", *(results.title("methods", method) for method in methods)]
    with _style():
        figure = Figure(figsize=(TILE * len(files) + 0.6, TILE * len(images) + 0.4), layout="constrained")
        axes = figure.subplots(len(images), len(files), squeeze=False)
        for row, image in enumerate(images):
            for column, file in enumerate(files):
                axis = axes[row, column]
                _tile(axis, _picture(results.directory, dataset, image, file))
                if row == 0:
                    axis.set_title(_wrap(heads[column]), fontsize=6, parse_math=False)
            label = titles[row] if titles else image
            axes[row, 0].set_ylabel(_wrap(label), fontsize=5, rotation=0, ha="right", va="center", parse_math=False)
    return figure


def quality_over_seconds(quality: Table, costs: Table) -> dict[tuple[str, ...], Figure]:
    """A figure per (device, precision, batch size): a panel per metric over seconds (logarithmic), with intervals.

    Both tables are of the same data set and protocol. Empty when no method has both a quality and a time.
    """
    seconds = next((place for place, column in enumerate(costs.columns) if column.name == "seconds"), None)
    if seconds is None:
        return {}
    timed: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in costs.rows:
        value = row.cells[seconds].value
        if value is not None and value > 0:
            timed.setdefault(row.labels[1:], {})[row.method] = row.cells[seconds]
    return {group: _fronts(quality, times, group) for group, times in sorted(timed.items())}


def save(figure: Figure, path: Path) -> list[Path]:
    """Write path + .png and .pdf atomically and without a date; returns both."""
    written = []
    for suffix, metadata in (
        ("png", {"Software": None}),
        ("pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
    ):
        buffer = io.BytesIO()
        with _style():
            FigureCanvasAgg(figure)
            figure.savefig(buffer, format=suffix, dpi=200, metadata=metadata)
        target = path.with_name(f"{path.name}.{suffix}")
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, target)
        written.append(target)
    return written


def _style() -> AbstractContextManager[None]:
    context: Callable[..., AbstractContextManager[None]] = matplotlib.style.context
    return context(["default", _STYLE])


def _picture(directory: Path, dataset: str, image: str, file: str) -> Image.Image | None:
    folder = (directory / "images").resolve()
    path = (folder / dataset / image / f"{file}.png").resolve()
    if not path.is_relative_to(folder) or not path.is_file():  # a name may not lead out of the run's folder
        return None
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _tile(axis: Axes, picture: Image.Image | None) -> None:
    axis.grid(False)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(picture is None)
    if picture is None:
        axis.text(0.5, 0.5, "n/a", ha="center", va="center", transform=axis.transAxes)
        axis.set_box_aspect(1)
    else:
        axis.imshow(np.asarray(picture), interpolation="nearest")


def _fronts(quality: Table, times: dict[str, Cell], group: tuple[str, ...]) -> Figure:
    across = min(3, len(quality.columns))
    down = -(-len(quality.columns) // across)
    with _style():
        figure = Figure(figsize=(2.6 * across, 2.2 * down + 0.8), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flatten()
        for place, column in enumerate(quality.columns):
            _front(axes[place], quality, place, column, times)
        for axis in axes[len(quality.columns) :]:
            axis.set_visible(False)
        figure.suptitle(f"{quality.title}\n{', '.join(group[:-1])}, batch size {group[-1]}", parse_math=False)
        handles = {
            label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        if handles:
            legend = figure.legend(
                list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False
            )
            for text in legend.get_texts():
                text.set_parse_math(False)
    return figure


def _front(axis: Axes, quality: Table, place: int, column: Column, times: dict[str, Cell]) -> None:
    for index, row in enumerate(quality.rows):
        cell, time = row.cells[place], times.get(row.method)
        if time is None or time.value is None or cell.value is None:
            continue
        axis.errorbar(
            [time.value], [cell.value], xerr=_bars(time), yerr=_bars(cell), color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)], markersize=5, capsize=2, linewidth=1, linestyle="none",
            label=" " + row.labels[0],  # a label that begins with an underscore would be left out
        )  # fmt: skip
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds per image")
    unit = f" ({column.unit})" if column.unit else ""
    axis.set_title(f"{column.title}{unit} {column.arrow}", parse_math=False)


def _bars(cell: Cell) -> list[list[float]]:
    """Lengths [[down], [up]] of the error bars."""
    assert cell.value is not None and cell.low is not None and cell.high is not None
    return [[cell.value - cell.low], [cell.high - cell.value]]


def _wrap(text: str, width: int = 16) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "\n".join(line[start : start + width] for line in lines for start in range(0, len(line), width))
