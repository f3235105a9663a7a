"""All figures of a run, written to DIR/report/figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from inversion_bench.registry import near_miss
from reports.figures import editing
from reports.figures.charts import differences, distributions, quality_over_seconds, scatter
from reports.figures.images import choose_images, error_maps, grid
from reports.figures.style import save
from reports.frame import ReportError, Results
from reports.table import Table, number

IMAGES_IN_GRID = 6
IMAGES_IN_MAPS = 3


@dataclass(frozen=True)
class Choice:
    """The images that figures show: the named ids, or those from worst to best by a metric of the reference method."""

    images: tuple[str, ...] = ()
    metric: str = ""

    def check(self, results: Results) -> None:
        """Raises ReportError for an image or metric that the run does not have."""
        known = [image for dataset in results.datasets for image in results.images(dataset)]
        for kind, names, among in (("image", self.images, known), ("metric", (self.metric,), list(results.metrics))):
            for name in filter(None, names):
                if name not in among:
                    listed = ", ".join(among[:8]) + ", ..." * (len(among) > 8)
                    raise ReportError(f"the run has no {kind} {name!r}: {near_miss(name, among)}it has {listed}")


def draw(
    results: Results,
    quality: Sequence[Table],
    paired: Sequence[Table],
    cost_tables: Sequence[Table],
    reference: str,
    folder: Path,
    choice: Choice = Choice(),
) -> list[Path]:
    """Write all figures that the run has data for, and remove outdated ones.

    Images are stored by data set: one grid and one figure of error maps for all protocols. The scatter plots show the
    first metric of a data set's first protocol against all other metrics, a figure per protocol.

    Args:
        results: the run.
        quality, paired, cost_tables: tables of means, of paired differences and of costs.
        reference: the method that images are ranked by.
        folder: of the figures.
        choice: the images to show.

    Returns:
        The paths written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    stems: set[str] = set()

    def keep(figure: Figure | None, *names: str) -> None:
        if figure is not None:
            written.extend(save(figure, folder / _stem(stems, *names)))

    order = results.methods
    first: dict[str, Table] = {}
    timed = {(table.dataset, table.protocol): table for table in cost_tables}
    for table in quality:
        part = (table.dataset, table.protocol)
        if table.dataset not in first:
            first[table.dataset] = table
            if (results.directory / "images" / table.dataset).is_dir():
                chosen = (results, table, reference, choice)
                keep(image_figure(*chosen, grid, IMAGES_IN_GRID), "grid", table.dataset)
                keep(image_figure(*chosen, error_maps, IMAGES_IN_MAPS), "errors", table.dataset)
        for group, figure in (quality_over_seconds(table, timed[part], order) if part in timed else {}).items():
            keep(figure, "quality", *part, *group)
        metric = first[table.dataset].columns[0].name
        keep(scatter(first[table.dataset], metric, table, order), "scatter", *part)
        keep(distributions(results, table), "images", *part)
    for table in paired:
        keep(differences(table, order), "differences", table.dataset, table.protocol)
    for dataset in results.datasets:
        for names, figure in editing.figures(results, dataset):
            keep(figure, *names)
    for stale in {path for path in folder.iterdir() if path.suffix in (".png", ".pdf")} - set(written):
        stale.unlink()
    return written


def image_figure(
    results: Results, table: Table, reference: str, choice: Choice, plot: Callable[..., Figure], size: int
) -> Figure | None:
    """A figure of images from worst to best by the reference's metric; evenly spaced ones where it has no value.

    Args:
        results: the run.
        table: of means; its first column is the default metric.
        reference: the method that images are ranked by.
        choice: the images to show, or the metric.
        plot: grid or error_maps.
        size: number of images.

    Returns:
        The figure; None without images.
    """
    part = (table.dataset, table.protocol)
    methods = results.part_methods(*part)
    by = reference if reference in methods else methods[0]
    names = {column.name: column for column in table.columns}
    column = names.get(choice.metric) or table.columns[0]
    known = set(results.images(table.dataset))
    if choice.images:
        images = tuple(image for image in choice.images if image in known)
    else:
        images = choose_images(results, *part, size, metric=column.name, method=by)
        images = images or choose_images(results, *part, size)
    if not images:
        return None
    values = results.values(column.name, *part)[by].dropna()
    titles = [f"{image}\n{column.title}\n{number(float(values[image]), column.digits)}" if image in values.index
              else image for image in images]  # fmt: skip
    return plot(results, table.dataset, images, methods, titles)


def _stem(taken: set[str], *names: str) -> str:
    """A file name from the names, with a number where it is taken already."""
    base = "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-.") or "x" for name in names)
    stem, index = base, 2
    while stem in taken:
        stem, index = f"{base}_{index}", index + 1
    taken.add(stem)
    return stem
