"""All figures of a run, written to DIR/report/figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from inversion_bench.registry import near_miss
from reports.figures import editing
from reports.figures.charts import differences, distributions, quality_over_seconds, scatter
from reports.figures.images import choose_images, error_maps, grid
from reports.figures.processes import side_by_side
from reports.figures.style import save
from reports.frame import ReportError, Results
from reports.sections import columns
from reports.summary import headline_of
from reports.table import Table, number

IMAGES_IN_GRID = 6
IMAGES_IN_MAPS = 3
PANELS = "panels"
Named = tuple[tuple[str, ...], Figure | None]


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
    first metric of a data set's first protocol against all other metrics, a figure per protocol. The charts of headline
    metrics are written once more, a panel a file at the width of a paper's column, as PDF.

    Args:
        results: the run.
        quality, paired, cost_tables: tables of means, of paired differences and of costs.
        reference: the method that images are ranked by.
        folder: of the figures.
        choice: the images to show.

    Returns:
        The paths written.
    """
    (folder / PANELS).mkdir(parents=True, exist_ok=True)
    order, shown = results.methods, headline_of(results)
    first: dict[str, Table] = {}
    for table in quality:
        first.setdefault(table.dataset, table)
    timed = {(table.dataset, table.protocol): table for table in cost_tables}

    def sheets(table: Table) -> Iterator[Named]:
        if (results.directory / "images" / table.dataset).is_dir():
            chosen = (results, table, reference, choice)
            yield ("grid", table.dataset), image_figure(*chosen, grid, IMAGES_IN_GRID)
            yield ("errors", table.dataset), image_figure(*chosen, error_maps, IMAGES_IN_MAPS)

    def charts(table: Table, *metric: str) -> Iterator[Named]:
        part, base = (table.dataset, table.protocol), first[table.dataset]
        for group, figure in (quality_over_seconds(table, timed[part], order) if part in timed else {}).items():
            yield ("quality", *part, *metric, *group), figure
        yield ("scatter", *part, *metric), scatter(base, base.columns[0].name, table, order)
        yield ("images", *part, *metric), distributions(results, table)

    def compared(table: Table, *metric: str) -> Iterator[Named]:
        yield ("differences", table.dataset, table.protocol, *metric), differences(table, order)

    ends = _ends([*((name,) for name in results.datasets), *results.parts])
    jobs: list[Callable[[], list[Path]]] = []
    for name in results.datasets:
        jobs.append(partial(_write, partial(editing.figures, results, name), folder, ends[name,]))
    for table in first.values():
        jobs.append(partial(_write, partial(sheets, table), folder, ends[table.dataset,]))
    for kind, tables in ((charts, quality), (compared, paired)):
        for table in tables:
            end = ends[table.dataset, table.protocol]
            jobs.append(partial(_write, partial(kind, table), folder, end))
            for one in singles(table, shown):
                jobs.append(partial(_write, partial(kind, one, one.columns[0].name), folder, end, panel=True))
    written = [path for paths in side_by_side(jobs) for path in paths]
    for stale in {path for path in folder.rglob("*") if path.suffix in (".png", ".pdf")} - set(written):
        stale.unlink()
    return written


def _write(drawing: Callable[[], Iterable[Named]], folder: Path, end: str, panel: bool = False) -> list[Path]:
    """Save the figures of a drawing under their names and what tells their data set from others."""
    written: list[Path] = []
    taken: set[str] = set()
    for names, figure in drawing():
        if figure is None:
            continue
        stem = _free(f"{_stem(names)}{end}", taken)
        if panel:
            figure.suptitle("")  # a paper has a caption instead
            written += save(figure, folder / PANELS / stem, ["pdf"])
        else:
            written += save(figure, folder / stem)
    return written


def singles(table: Table, metrics: Sequence[str]) -> list[Table]:
    """A table of one column for each of the metrics that a table has."""
    return [columns(table, [index]) for index, column in enumerate(table.columns) if column.name in metrics]


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


def _stem(names: Iterable[str]) -> str:
    return "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-.") or "x" for name in names)


def _free(base: str, taken: set[str]) -> str:
    """A name that is not taken, with a number where it is; takes it."""
    stem, index = base, 2
    while stem in taken:
        stem, index = f"{base}_{index}", index + 1
    taken.add(stem)
    return stem


def _ends(parts: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """What follows the stem of a part in file names: a number where parts of other names have the same stem."""
    taken: set[str] = set()
    return {part: _free(_stem(part), taken).removeprefix(_stem(part)) for part in parts}
