"""`build(directory)`: everything that a run's rows say, written to DIR/report. The same rows, the same bytes.

tables.md, tables.tex and tables.csv hold what does not depend on the day: two runs of one suite that differ in
their timings only give the same bytes. Timings, memory and the commit are in costs.md and costs.csv.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from reports import dashboard, figures, latex, markdown, tables_csv
from reports.frame import ReportError, Results, read
from reports.listings import Listing, distinct, listings
from reports.table import Table, number
from reports.tabulate import costs, means, paired

IMAGES_IN_GRID = 6


def build(directory: str | Path, reference: str = "") -> list[Path]:
    """Write DIR/report from DIR/results.parquet, DIR/run.json and DIR/images; returns the paths written
    (of the dashboard its page only: with a picture for each image and method it has many files).

    reference is the method that the paired tables compare to and the grid ranks by; by default run.json's first.
    Raises FileNotFoundError or ReportError before anything is written.
    """
    results = read(directory)
    reference = reference or results.methods[0]
    if reference not in results.methods:
        raise ReportError(f"expected a reference among {list(results.methods)}, found {reference!r}")
    quality = [means(results, *part) for part in results.parts] if results.metrics else []
    against = (
        [paired(results, *part, reference) for part in results.parts] if len(results.methods) > 1 and quality else []
    )
    dear = [costs(results, *part) for part in results.parts if not results.costs(*part).empty]
    about = listings(results)
    texts = {
        "tables.md": tables_markdown(results.run, quality, against, about),
        "tables.tex": latex.document([*quality, *against]),
        "tables.csv": tables_csv.dumps([*quality, *against]),
        "costs.md": costs_markdown(results, dear),
        "costs.csv": tables_csv.dumps(dear),
    }
    folder = results.directory / "report"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    written = [_write(folder / name, text) for name, text in texts.items()]
    pictures = _figures(results, quality, dear, reference, folder / "figures")
    for stale in {path for path in (folder / "figures").iterdir() if path.suffix in (".png", ".pdf")} - set(pictures):
        stale.unlink()
    return [*written, *pictures, dashboard.write(results, quality, dear, reference, about)]


def tables_markdown(
    run: Mapping[str, Any], quality: Sequence[Table], against: Sequence[Table], about: Sequence[Listing]
) -> str:
    """tables.md: what is compared, the tables, the recipes, the failures, where the numbers come from."""
    parts = [f"# {markdown.escape(str(run.get('title') or run.get('suite') or 'Results'))}"]
    before, after = about[:2], about[2:]
    parts += [f"## {part.title}\n\n{markdown.listing(part.headers, part.rows)}" for part in before]
    parts += [f"## {markdown.escape(table.title)}\n\n{markdown.table(table)}" for table in [*quality, *against]]
    for part in after:
        text = markdown.listing(part.headers, part.rows) if part.rows else f"{part.empty}\n"
        parts.append(f"## {part.title}\n\n{text}")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def costs_markdown(results: Results, tables: Sequence[Table]) -> str:
    """costs.md: time and memory for each device, and the state of the code that they were measured with."""
    parts = [f"# Costs: {markdown.escape(str(results.run.get('title') or results.run.get('suite') or 'Results'))}"]
    parts += [f"## {markdown.escape(table.title)}\n\n{markdown.table(table)}" for table in tables]
    if not tables:
        parts.append("No costs were measured.")
    said = [("commit", ", ".join(distinct(results, "commit"))), ("torch", ", ".join(distinct(results, "torch")))]
    parts += ["## Measured with", markdown.listing(("what", "value"), said)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _figures(
    results: Results, quality: Sequence[Table], dear: Sequence[Table], reference: str, folder: Path
) -> list[Path]:
    written: list[Path] = []
    stems: set[str] = set()
    drawn: set[str] = set()
    timed = {(table.dataset, table.protocol): table for table in dear}
    for table in quality:
        if table.dataset not in drawn and (results.directory / "images" / table.dataset).is_dir():
            drawn.add(table.dataset)  # pictures are stored by data set: one grid for all protocols
            figure = _grid(results, table, reference)
            if figure is not None:
                written += figures.save(figure, folder / _stem(stems, "grid", table.dataset))
        if (table.dataset, table.protocol) in timed:
            fronts = figures.quality_over_seconds(table, timed[table.dataset, table.protocol])
            for group, figure in fronts.items():
                written += figures.save(figure, folder / _stem(stems, "quality", table.dataset, table.protocol, *group))
    return written


def _grid(results: Results, table: Table, reference: str) -> Figure | None:
    """Pictures from worst to best by the reference's first metric; evenly spread ones where it has no value."""
    part, metric = (table.dataset, table.protocol), results.metrics[0]
    images = figures.choose_images(results, *part, IMAGES_IN_GRID, metric=metric, method=reference)
    if images:
        values = results.values(metric, *part)[reference]
        title, digits = table.columns[0].title, table.columns[0].digits
        titles = [f"{image}\n{title}\n{number(float(values[image]), digits)}" for image in images]
        return figures.grid(results, table.dataset, images, titles=titles)
    images = figures.choose_images(results, *part, IMAGES_IN_GRID)
    return figures.grid(results, table.dataset, images) if images else None


def _stem(taken: set[str], *names: str) -> str:
    """A file name of the names, with a number where two data sets would share it."""
    base = "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-.") or "x" for name in names)
    stem, place = base, 2
    while stem in taken:
        stem, place = f"{base}_{place}", place + 1
    taken.add(stem)
    return stem


def _write(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
    return path
