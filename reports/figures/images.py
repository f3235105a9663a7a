"""Contact sheets of a run: targets and reconstructions, and error maps of the reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from inversion_bench.pictures import open_picture
from reports.figures.style import style, wrap
from reports.frame import ReportError, Results
from reports.statistics import sign

TILE, LABELS, TITLES = 0.85, 0.95, 0.45  # inches: an image with its gap, the texts to the left and above
GAP = 0.04  # of a tile
# More methods than this become rows, so that the figure still fits the width of a page.
METHODS_ACROSS = 8
TARGET, INTEREST = "target", "interest"
# Perceptually uniform, also for colour-blind readers and in greyscale.
HEAT = "inferno"


def choose_images(
    results: Results, dataset: str, protocol: str, number: int = 6, metric: str = "", method: str = ""
) -> tuple[str, ...]:
    """Ids of images from worst to best by a metric of a method; without a metric, evenly spaced over the sorted ids.

    Args:
        results: the run.
        dataset, protocol: a part of the run.
        number: of images, at least 1.
        metric, method: which values rank the images.

    Raises:
        ReportError: the run has no such metric or method, or number is below 1.
    """
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
        ascending = sign(results.info(metric)["direction"]) > 0  # the worst first
        ranked = list(values.sort_values(ascending=ascending, kind="stable").index)
    indices = np.linspace(0, len(ranked) - 1, min(number, len(ranked))).round().astype(int)
    return tuple(ranked[index] for index in indices)


def grid(
    results: Results, dataset: str, images: Sequence[str], methods: Sequence[str] = (), titles: Sequence[str] = ()
) -> Figure:
    """Targets and reconstructions: rows are images, columns methods; transposed for more than METHODS_ACROSS methods.

    Args:
        results: the run.
        dataset: name of the data set.
        images: ids of the images; missing files are printed as n/a.
        methods: names of methods; default: all.
        titles: labels of the images; default: their ids.

    Raises:
        ReportError: there are no images.
    """
    methods = tuple(methods) or results.methods
    if not images:
        raise ReportError(f"expected at least one image of {dataset} to draw, found none")
    files = [TARGET, *methods]
    heads = [TARGET, *(results.title("methods", method) for method in methods)]
    labels = list(titles) or list(images)
    transposed = len(methods) > METHODS_ACROSS
    with style():
        figure, axis = _sheet(*((len(files), len(images)) if transposed else (len(images), len(files))))
        for at, image in enumerate(images):
            for index, file in enumerate(files):
                row, across = (index, at) if transposed else (at, index)
                _tile(axis, row, across, read_image(results.directory, dataset, image, file))
        _labels(axis, heads if transposed else labels, labels if transposed else heads)
    return figure


def error_maps(
    results: Results, dataset: str, images: Sequence[str], methods: Sequence[str] = (), titles: Sequence[str] = ()
) -> Figure:
    """Reconstructions with their absolute errors: rows are the target and the methods, two columns per image.

    The error is the mean of |reconstruction - target| over channels, of values in [-1, 1] (so 0 to 2). All maps share
    one scale, which ends at the 99th percentile of the worst one. Where a target has an image file `interest` (white:
    the interest region), its outline is drawn. Arguments and errors as in grid.
    """
    methods = tuple(methods) or results.methods
    if not images:
        raise ReportError(f"expected at least one image of {dataset} to draw, found none")
    targets = {image: read_image(results.directory, dataset, image, TARGET) for image in images}
    inverted = {(m, i): read_image(results.directory, dataset, i, m) for m in methods for i in images}
    errors = {key: error for key, image in inverted.items() if (error := _error(image, targets[key[1]])) is not None}
    scale = Normalize(0.0, max([float(np.quantile(error, 0.99)) for error in errors.values()] or [1.0]) or 1.0)
    with style():
        figure, axis = _sheet(len(methods) + 1, 2 * len(images), right=0.6)
        for at, image in enumerate(images):
            region = read_image(results.directory, dataset, image, INTEREST)
            _tile(axis, 0, 2 * at, targets[image])
            for index, method in enumerate(methods, start=1):
                _tile(axis, index, 2 * at, inverted[method, image])
                _heat(axis, index, 2 * at + 1, errors.get((method, image)), scale, region)
        tops = [text for title in (titles or images) for text in (title, "")]
        _labels(axis, [TARGET, *(results.title("methods", method) for method in methods)], tops)
        wide, high = figure.get_size_inches()
        bar = figure.add_axes((1 - 0.45 / wide, 0.1, 0.08 / wide, min(0.8, 3.0 / high)))
        figure.colorbar(ScalarMappable(scale, HEAT), cax=bar).set_label("absolute error, values in [-1, 1]", fontsize=5)
        bar.tick_params(labelsize=5)
    return figure


def read_image(directory: Path, dataset: str, image: str, file: str) -> Image.Image | None:
    """An image file of a run, without its suffix; None where it does not exist."""
    folder = (directory / "images").resolve()
    path = (folder / dataset / image / f"{file}.png").resolve()
    if not path.is_relative_to(folder) or not path.is_file():  # a name may not point out of the run's folder
        return None
    with open_picture(path) as stored:
        return stored.convert("RGB")


def _error(image: Image.Image | None, target: Image.Image | None) -> NDArray[np.float64] | None:
    """Mean absolute difference [H, W] of values in [-1, 1]; None where the images are not comparable."""
    if image is None or target is None or image.size != target.size:
        return None
    difference = np.asarray(image, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    return np.asarray(np.abs(difference).mean(axis=2) / 127.5)


def _sheet(rows: int, columns: int, right: float = 0.05) -> tuple[Figure, Axes]:
    """A contact sheet: one axis in units of tiles, as an axis per image would take most of the time of a report."""
    wide, high = LABELS + TILE * columns + right, TITLES + TILE * rows
    figure = Figure(figsize=(wide, high))
    axis = figure.add_axes((LABELS / wide, 0, TILE * columns / wide, TILE * rows / high))
    axis.set_axis_off()
    axis.set_xlim(0, columns)
    axis.set_ylim(rows, 0)
    return figure, axis


def _labels(axis: Axes, left: Sequence[str], top: Sequence[str]) -> None:
    for index, text in enumerate(left):
        axis.text(-0.06, index + 0.5, wrap(text), fontsize=5.5, ha="right", va="center", parse_math=False)
    for index, text in enumerate(top):
        axis.text(index + 0.5, -0.06, wrap(text), fontsize=5.5, ha="center", va="bottom", parse_math=False)


def _heat(
    axis: Axes, row: int, column: int, error: NDArray[np.float64] | None, scale: Normalize, region: Image.Image | None
) -> None:
    if error is None:
        _tile(axis, row, column, None)
        return
    axis.imshow(error, cmap=HEAT, norm=scale, interpolation="nearest", extent=_extent(row, column), aspect="auto")
    if region is not None and region.size == error.shape[::-1]:
        inside = np.asarray(region.convert("L"), dtype=np.float64) / 255
        if inside.min() < 0.5 < inside.max():
            axis.contour(inside, levels=[0.5], colors="white", linewidths=0.6, linestyles="dashed", origin="upper",
                         extent=_extent(row, column))  # fmt: skip


def _tile(axis: Axes, row: int, column: int, image: Image.Image | None) -> None:
    if image is None:
        axis.text(column + 0.5, row + 0.5, "n/a", ha="center", va="center")
        return
    # Tiles are square; other images keep their aspect ratio and are centred.
    size = min(1.0, image.width / image.height), min(1.0, image.height / image.width)
    axis.imshow(np.asarray(image), interpolation="nearest", extent=_extent(row, column, *size), aspect="auto")


def _extent(row: int, column: int, wide: float = 1.0, high: float = 1.0) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of an image in its tile, without the gap."""
    x, y = (1 - GAP) * wide / 2, (1 - GAP) * high / 2
    return column + 0.5 - x, column + 0.5 + x, row + 0.5 + y, row + 0.5 - y
