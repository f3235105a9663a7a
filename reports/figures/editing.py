"""Figures of the protocol editing: edited pictures of all methods below each other, and identity over effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.pictures import TARGET, picture
from reports.figures.style import colour, legend, panels, style, wrap
from reports.frame import Results

TILE, LABELS, TITLES = 0.55, 0.95, 0.4  # inches: a picture, the texts to the left and above
IMAGES = 2  # sheets for each data set
# An identity that is not reached counts as 0 in the tables and here, so the area below a curve is the table's number.
UNREACHED = 0.0


def figures(results: Results, dataset: str) -> Iterator[tuple[tuple[str, ...], Figure]]:
    """Names and figures of a data set: a sheet for each of IMAGES edited images, and the curves; none without edits."""
    about = results.run.get("editing")
    if not about:
        return
    edited = edited_images(results, dataset)
    places = np.linspace(0, len(edited) - 1, min(IMAGES, len(edited))).round().astype(int)
    for image in [edited[place] for place in places]:
        yield ("edits", dataset, image), sheet(results, dataset, image, about)
    path = results.directory / "edits.parquet"
    if path.is_file():
        rows = pd.read_parquet(path)
        own = rows[rows["dataset"] == dataset]
        if not own.empty:
            yield ("identity-over-effect", dataset), curves(results, dataset, own, about)


def edited_images(results: Results, dataset: str) -> list[str]:
    """Sorted ids of the images that any method has edited pictures of."""
    folder = results.directory / "images" / dataset
    names = {file.parent.name for method in results.methods for file in folder.glob(f"*/{method}.edits.png")}
    return sorted(names & set(results.images(dataset)))


def sheet(results: Results, dataset: str, image: str, about: Mapping[str, Any]) -> Figure:
    """Rows methods, columns strengths by attribute; the left column is the inversion, the top left the input.

    A method's pictures are one file, side by side, in the order of about["sheet"].
    """
    methods = [method for method in results.methods
               if picture(results.directory, dataset, image, f"{method}.edits") is not None]  # fmt: skip
    groups = [(str(name), [strength for _, strength in each])
              for name, each in groupby(about["sheet"], key=lambda tile: tile[0])]  # fmt: skip
    titles = {each["name"]: each["title"] for each in about["attributes"]} | {"": "all in sequence"}
    columns, rows = 1 + len(about["sheet"]), 1 + len(methods)
    with style():
        wide, high = LABELS + TILE * columns + 0.05, TITLES + TILE * rows
        figure = Figure(figsize=(wide, high))
        axis = figure.add_axes((LABELS / wide, 0, TILE * columns / wide, TILE * rows / high))
        axis.set_axis_off()
        axis.set_xlim(0, columns)
        axis.set_ylim(rows, 0)
        _row(axis, 0, 0, 1, picture(results.directory, dataset, image, TARGET))
        for place, method in enumerate(methods, start=1):
            _row(axis, place, 0, 1, picture(results.directory, dataset, image, method))
            _row(axis, place, 1, columns, picture(results.directory, dataset, image, f"{method}.edits"))
        for place, text in enumerate(["input", *(results.title("methods", method) for method in methods)]):
            axis.text(-0.08, place + 0.5, wrap(text), fontsize=5.5, ha="right", va="center", parse_math=False)
        left = 1
        for name, strengths in groups:
            axis.axvline(left, color="white", linewidth=2.5)
            axis.text(left + len(strengths) / 2, 0.62, titles[name], fontsize=6.5, ha="center", parse_math=False)
            for place, strength in enumerate(strengths):
                axis.text(left + place + 0.5, 0.92, f"{strength:+g}", fontsize=5.5, ha="center", parse_math=False)
            left += len(strengths)
        axis.text(0, -0.12, f"{results.title('datasets', dataset)}, {image}: edits by strength (1 is one standard "
                  "deviation of the generator's w); left the inversions", fontsize=6.5, parse_math=False)  # fmt: skip
    return figure


def curves(results: Results, dataset: str, rows: pd.DataFrame, about: Mapping[str, Any]) -> Figure:
    """A panel for each attribute: mean identity to the input over the measured effect, a line a method."""
    attributes = [each for each in about["attributes"] if each["name"] in set(rows["attribute"])]
    methods = [method for method in results.methods if method in set(rows["method"])]
    dashes: Sequence[Any] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
    with style():
        figure, axes = panels(len(attributes), 3.2, 2.5, 0.9)
        for axis, attribute in zip(axes, attributes, strict=True):
            own = rows[rows["attribute"] == attribute["name"]]
            means = own["identity"].fillna(UNREACHED).groupby([own["method"], own["effect"]]).mean()
            for method in methods:
                if method in means.index.get_level_values(0):
                    place, line = results.methods.index(method), means[method].sort_index()
                    # A label that begins with an underscore would be left out of the legend.
                    axis.plot(line.index, line.to_numpy(), color=colour(place), linewidth=1.0,
                              linestyle=dashes[place // 7 % len(dashes)],
                              label=" " + results.title("methods", method))  # fmt: skip
            unit = f" ({attribute['unit']})" if attribute["unit"] else ""
            axis.set_xlabel(f"measured change of {attribute['title']}{unit}", parse_math=False)
            axis.set_ylabel("ID to the input")
        figure.suptitle(f"{results.title('datasets', dataset)}: identity at equal effect; an effect that is not "
                        "reached counts as 0", parse_math=False)  # fmt: skip
        legend(figure, axes)
    return figure


def _row(axis: Axes, row: int, left: float, right: float, found: Any) -> None:
    """A picture, or a row of them, from column left to right."""
    gap = 0.02
    if found is None:
        axis.text((left + right) / 2, row + 0.5, "n/a", ha="center", va="center")
    else:
        extent = (left + gap * (right - left <= 1), right - gap * (right - left <= 1), row + 1 - gap, row + gap)
        axis.imshow(np.asarray(found), interpolation="nearest", extent=extent, aspect="auto")
