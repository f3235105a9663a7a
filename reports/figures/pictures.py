"""Pictures of a run side by side: targets and reconstructions, and where the reconstructions are wrong."""

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

from reports.figures.style import style, wrap
from reports.frame import ReportError, Results

TILE, LABELS, TITLES = 0.85, 0.95, 0.45  # inches: a picture with its gap, the texts to the left and above
GAP = 0.04  # of a tile
# More methods than this stand below each other, so that the figure still fits the width of a page.
METHODS_ACROSS = 8
TARGET, INTEREST = "target", "interest"
# Dark to bright with the error, in evenly perceived steps, for colour-blind readers and in grey print too.
HEAT = "inferno"


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
    """Target and methods of the images. A picture that is not there is a tile that says n/a.

    Rows images, columns methods; the other way round where the methods are too many for the width of a page.
    """
    methods = tuple(methods) or results.methods
    if not images:
        raise ReportError(f"expected at least one image of {dataset} to draw, found none")
    files = [TARGET, *methods]
    heads = [TARGET, *(results.title("methods", method) for method in methods)]
    labels = list(titles) or list(images)
    below = len(methods) > METHODS_ACROSS
    with style():
        figure, axis = _sheet(*((len(files), len(images)) if below else (len(images), len(files))))
        for at, image in enumerate(images):
            for place, file in enumerate(files):
                row, across = (place, at) if below else (at, place)
                _tile(axis, row, across, picture(results.directory, dataset, image, file))
        _labels(axis, heads if below else labels, labels if below else heads)
    return figure


def error_maps(
    results: Results, dataset: str, images: Sequence[str], methods: Sequence[str] = (), titles: Sequence[str] = ()
) -> Figure:
    """Rows target and methods; for each image the reconstruction and beside it its absolute error.

    The error is the mean over the channels of |reconstruction - target|, values in [-1, 1] (so 0 to 2), in one scale
    for all maps, which ends at the 99th percentile of the worst. Where a picture `interest` lies beside the target
    (white: the interest region), its outline is drawn.
    """
    methods = tuple(methods) or results.methods
    if not images:
        raise ReportError(f"expected at least one image of {dataset} to draw, found none")
    found = {image: picture(results.directory, dataset, image, TARGET) for image in images}
    made = {(m, i): picture(results.directory, dataset, i, m) for m in methods for i in images}
    errors = {key: error for key, made_picture in made.items()
              if (error := _error(made_picture, found[key[1]])) is not None}  # fmt: skip
    scale = Normalize(0.0, max([float(np.quantile(error, 0.99)) for error in errors.values()] or [1.0]) or 1.0)
    with style():
        figure, axis = _sheet(len(methods) + 1, 2 * len(images), right=0.6)
        for at, image in enumerate(images):
            region = picture(results.directory, dataset, image, INTEREST)
            _tile(axis, 0, 2 * at, found[image])
            for place, method in enumerate(methods, start=1):
                _tile(axis, place, 2 * at, made[method, image])
                _heat(axis, place, 2 * at + 1, errors.get((method, image)), scale, region)
        tops = [text for title in (titles or images) for text in (title, "")]
        _labels(axis, [TARGET, *(results.title("methods", method) for method in methods)], tops)
        wide, high = figure.get_size_inches()
        bar = figure.add_axes((1 - 0.45 / wide, 0.1, 0.08 / wide, min(0.8, 3.0 / high)))
        figure.colorbar(ScalarMappable(scale, HEAT), cax=bar).set_label("absolute error, values in [-1, 1]", fontsize=5)
        bar.tick_params(labelsize=5)
    return figure


def picture(directory: Path, dataset: str, image: str, file: str) -> Image.Image | None:
    """A stored picture, or None."""
    folder = (directory / "images").resolve()
    path = (folder / dataset / image / f"{file}.png").resolve()
    if not path.is_relative_to(folder) or not path.is_file():  # a name may not lead out of the run's folder
        return None
    with Image.open(path) as found:
        return found.convert("RGB")


def _error(made: Image.Image | None, target: Image.Image | None) -> NDArray[np.float64] | None:
    """[H, W] of mean absolute difference in [-1, 1] values; None where there is nothing to compare."""
    if made is None or target is None or made.size != target.size:
        return None
    difference = np.asarray(made, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    return np.asarray(np.abs(difference).mean(axis=2) / 127.5)


def _sheet(rows: int, columns: int, right: float = 0.05) -> tuple[Figure, Axes]:
    """A figure of tiles: one axis in units of tiles, as an axis a picture would cost most of a report's time."""
    wide, high = LABELS + TILE * columns + right, TITLES + TILE * rows
    figure = Figure(figsize=(wide, high))
    axis = figure.add_axes((LABELS / wide, 0, TILE * columns / wide, TILE * rows / high))
    axis.set_axis_off()
    axis.set_xlim(0, columns)
    axis.set_ylim(rows, 0)
    return figure, axis


def _labels(axis: Axes, left: Sequence[str], top: Sequence[str]) -> None:
    for place, text in enumerate(left):
        axis.text(-0.06, place + 0.5, wrap(text), fontsize=5.5, ha="right", va="center", parse_math=False)
    for place, text in enumerate(top):
        axis.text(place + 0.5, -0.06, wrap(text), fontsize=5.5, ha="center", va="bottom", parse_math=False)


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


def _tile(axis: Axes, row: int, column: int, found: Image.Image | None) -> None:
    if found is None:
        axis.text(column + 0.5, row + 0.5, "n/a", ha="center", va="center")
        return
    # The tile is square; a picture that is not keeps its shape, in the middle.
    share = min(1.0, found.width / found.height), min(1.0, found.height / found.width)
    axis.imshow(np.asarray(found), interpolation="nearest", extent=_extent(row, column, *share), aspect="auto")


def _extent(row: int, column: int, wide: float = 1.0, high: float = 1.0) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a picture in its tile, less a gap."""
    x, y = (1 - GAP) * wide / 2, (1 - GAP) * high / 2
    return column + 0.5 - x, column + 0.5 + x, row + 0.5 + y, row + 0.5 - y
