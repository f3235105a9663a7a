"""Figures of the protocol editing: contact sheets of edited images, and identity over effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.images import TARGET, read_image
from reports.figures.style import colour, legend, panels, style, title, wrap
from reports.frame import Results

TILE, SHEET_TILE, LABELS, TITLES = 0.55, 0.8, 0.95, 0.4  # inches: an image, the texts to the left and above
IMAGES = 2  # contact sheets of each data set
SHEET, EDITS, MODERATE = 6, 2, 2.0  # images of the sheet, edits that it shows of each, and their greatest strength


def figures(results: Results, dataset: str) -> Iterator[tuple[tuple[str, ...], Figure]]:
    """Names and figures of a data set: contact sheets of IMAGES edited images, and the curves; empty without edits."""
    info = results.run.get("editing")
    if not info:
        return
    edited = edited_images(results, dataset)
    indices = np.linspace(0, len(edited) - 1, min(IMAGES, len(edited))).round().astype(int)
    if edited:
        yield ("sheet", dataset), sheet(results, dataset, edited[:SHEET], info)
    for image in [edited[index] for index in indices]:
        yield ("edits", dataset, image), contact_sheet(results, dataset, image, info)
    path = results.directory / "edits.parquet"
    if path.is_file():
        rows = pd.read_parquet(path)
        own = rows[rows["dataset"] == dataset]
        if not own.empty:
            yield ("identity-over-effect", dataset), curves(results, dataset, own, info)


def edited_images(results: Results, dataset: str) -> list[str]:
    """Sorted ids of the images that any method has edits of."""
    folder = results.directory / "images" / dataset
    names = {file.parent.name for method in results.methods for file in folder.glob(f"*/{method}.edits.png")}
    return sorted(names & set(results.images(dataset)))


def sheet(results: Results, dataset: str, images: Sequence[str], info: Mapping[str, Any]) -> Figure:
    """Images at a glance: a row an image, the target, then of each method the inversion and its edits.

    Args:
        results: the run.
        dataset: name of the data set.
        images: edited images.
        info: run.json's entry "editing".
    """
    titles = {one["name"]: one["title"] for one in info["attributes"]}
    strongest = {
        str(name): place for place, (name, strength) in enumerate(info["sheet"]) if name and 0 < strength <= MODERATE
    }
    chosen = list(strongest.items())[:EDITS]
    methods = [method for method in results.methods
               if any(read_image(results.directory, dataset, image, method) for image in images)]  # fmt: skip
    across, columns = 1 + len(chosen), 1 + len(methods) * (1 + len(chosen))
    with style():
        wide, high = 0.1 + SHEET_TILE * columns, TITLES + SHEET_TILE * len(images)
        figure = Figure(figsize=(wide, high))
        axis = figure.add_axes((0.05 / wide, 0, SHEET_TILE * columns / wide, SHEET_TILE * len(images) / high))
        axis.set_axis_off()
        axis.set_xlim(0, columns)
        axis.set_ylim(len(images), 0)
        heads = [(0.5, "photograph")]
        for row, image in enumerate(images):
            _row(axis, row, 0, 1, read_image(results.directory, dataset, image, TARGET))
        for index, method in enumerate(methods):
            left = 1 + index * across
            for row, image in enumerate(images):
                _row(axis, row, left, left + 1, read_image(results.directory, dataset, image, method))
                strip = read_image(results.directory, dataset, image, f"{method}.edits")
                for place, (_, tile) in enumerate(chosen, start=1):
                    side = strip.height if strip else 0
                    edit = strip.crop((tile * side, 0, (tile + 1) * side, side)) if strip else None
                    _row(axis, row, left + place, left + place + 1, edit)
            axis.axvline(left, color="white", linewidth=2.5)
            axis.text(left + across / 2, -0.22, results.title("methods", method), fontsize=7, ha="center",
                      parse_math=False)  # fmt: skip
            heads += [(left + 0.5, "inversion"), *((left + place + 0.5, f"{titles[name]} {info['sheet'][tile][1]:+g}")
                                                  for place, (name, tile) in enumerate(chosen, start=1))]  # fmt: skip
        for x, text in heads:
            axis.text(x, -0.06, text, fontsize=5.5, ha="center", parse_math=False)
    return figure


def contact_sheet(results: Results, dataset: str, image: str, info: Mapping[str, Any]) -> Figure:
    """Edits of an image: rows are methods, columns strengths by attribute, after the inversion; top left the target.

    Args:
        results: the run.
        dataset, image: the edited image.
        info: run.json's entry "editing"; a method's edits are one file, side by side in the order of info["sheet"].
    """
    methods = [method for method in results.methods
               if read_image(results.directory, dataset, image, f"{method}.edits") is not None]  # fmt: skip
    groups = [(str(name), [strength for _, strength in tiles])
              for name, tiles in groupby(info["sheet"], key=lambda tile: tile[0])]  # fmt: skip
    titles = {one["name"]: one["title"] for one in info["attributes"]} | {"": "all in sequence"}
    columns, rows = 1 + len(info["sheet"]), 1 + len(methods)
    with style():
        wide, high = LABELS + TILE * columns + 0.05, TITLES + TILE * rows
        figure = Figure(figsize=(wide, high))
        axis = figure.add_axes((LABELS / wide, 0, TILE * columns / wide, TILE * rows / high))
        axis.set_axis_off()
        axis.set_xlim(0, columns)
        axis.set_ylim(rows, 0)
        _row(axis, 0, 0, 1, read_image(results.directory, dataset, image, TARGET))
        for index, method in enumerate(methods, start=1):
            _row(axis, index, 0, 1, read_image(results.directory, dataset, image, method))
            _row(axis, index, 1, columns, read_image(results.directory, dataset, image, f"{method}.edits"))
        for index, text in enumerate(["target", *(results.title("methods", method) for method in methods)]):
            axis.text(-0.08, index + 0.5, wrap(text), fontsize=5.5, ha="right", va="center", parse_math=False)
        left = 1
        for name, strengths in groups:
            axis.axvline(left, color="white", linewidth=2.5)
            axis.text(left + len(strengths) / 2, 0.62, titles[name], fontsize=6.5, ha="center", parse_math=False)
            for index, strength in enumerate(strengths):
                axis.text(left + index + 0.5, 0.92, f"{strength:+g}", fontsize=5.5, ha="center", parse_math=False)
            left += len(strengths)
        axis.text(0, -0.12, f"{results.title('datasets', dataset)}, {image}: edits by strength (1 is one standard "
                  "deviation of the generator's w); left: inversions", fontsize=6.5, parse_math=False)  # fmt: skip
    return figure


def curves(results: Results, dataset: str, rows: pd.DataFrame, info: Mapping[str, Any]) -> Figure:
    """A panel per attribute: mean identity to the target over the measured effect, a curve per method.

    Args:
        results: the run.
        dataset: name of the data set.
        rows: its rows of edits.parquet.
        info: run.json's entry "editing".
    """
    attributes = [one for one in info["attributes"] if one["name"] in set(rows["attribute"])]
    methods = [method for method in results.methods if method in set(rows["method"])]
    # As in the tables: the area below a curve is the table's value. Older runs counted effects not reached as 0.
    unreached = float(info.get("unreached", 0.0))
    dashes: Sequence[Any] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
    with style():
        figure, axes = panels(len(attributes), 3.2, 2.5, 0.9)
        for axis, attribute in zip(axes, attributes, strict=True):
            own = rows[rows["attribute"] == attribute["name"]]
            means = own["identity"].fillna(unreached).groupby([own["method"], own["effect"]]).mean()
            for method in methods:
                if method in means.index.get_level_values(0):
                    index, line = results.methods.index(method), means[method].sort_index()
                    # A label that starts with an underscore would be left out of the legend.
                    axis.plot(line.index, line.to_numpy(), color=colour(index), linewidth=1.0,
                              linestyle=dashes[index // 7 % len(dashes)],
                              label=" " + results.title("methods", method))  # fmt: skip
            unit = f" ({attribute['unit']})" if attribute["unit"] else ""
            axis.set_xlabel(f"measured change of {attribute['title']}{unit}", parse_math=False)
            axis.set_ylabel("ID to the target")
        title(figure, f"{results.title('datasets', dataset)}: identity at equal effect; an effect that is not "
                      f"reached counts as {unreached:g}")  # fmt: skip
        legend(figure, axes)
    return figure


def _row(axis: Axes, row: int, left: float, right: float, image: Any) -> None:
    """An image, or several side by side, between two columns of the sheet."""
    gap = 0.02
    if image is None:
        axis.text((left + right) / 2, row + 0.5, "n/a", ha="center", va="center")
    else:
        extent = (left + gap * (right - left <= 1), right - gap * (right - left <= 1), row + 1 - gap, row + gap)
        axis.imshow(np.asarray(image), interpolation="nearest", extent=extent, aspect="auto")
