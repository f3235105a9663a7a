"""`build(directory)`: everything that a run's rows say, written to DIR/report. The same rows, the same bytes.

tables.md, tables.tex, recipes.tex and tables.csv hold what does not depend on the day: two runs of one suite that
differ in their timings only give the same bytes. Timings, memory and the commit are in costs.md and costs.csv.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports import beside, dashboard, figures, latex, layout, markdown, tables_csv
from reports.frame import ReportError, Results, read
from reports.listings import Listing, distinct, listings
from reports.sections import sections
from reports.table import Table
from reports.tabulate import costs, means, paired

EVERY_KIND = figures.Choice()


def build(
    directory: str | Path, reference: str = "", layouts: Sequence[str] = (), choice: figures.Choice = EVERY_KIND
) -> list[Path]:
    """Write DIR/report from DIR/results.parquet, DIR/run.json and DIR/images; returns the paths written
    (of the dashboard its page only: with a picture for each image and method it has many files).

    reference is the method that the paired tables compare to and the grid ranks by; by default run.json's first.
    layouts: names or files of reports.layout, each written to DIR/report/layouts as markdown, LaTeX and CSV.
    Raises FileNotFoundError or ReportError before anything is written.
    """
    results = read(directory)
    reference = reference or results.methods[0]
    if reference not in results.methods:
        raise ReportError(f"expected a reference among {list(results.methods)}, found {reference!r}")
    choice.check(results)
    arranged = {stem: layout.arrange(results, found) for stem, found in map(layout.load, layouts)}
    quality = [means(results, *part) for part in results.parts] if results.metrics else []
    compared = [part for part in results.parts if quality and len(results.part_methods(*part)) > 1]
    against = [paired(results, *part, _present(results, part, reference)) for part in compared]
    dear = [costs(results, *part) for part in results.parts if not results.costs(*part).empty]
    shown = [part for table in [*quality, *against] for part in sections(table)]
    theirs = beside.tables(results)
    shown += theirs
    about = [*listings(results), *beside.warnings(results)]
    texts = {
        "tables.md": tables_markdown(results.run, shown, about),
        "tables.tex": latex.document(shown),
        "recipes.tex": latex.recipes(shown),
        "tables.csv": tables_csv.dumps([*quality, *against, *theirs]),
        "costs.md": costs_markdown(results, dear),
        "costs.csv": tables_csv.dumps(dear),
    }
    folder = results.directory / "report"
    for stem, tables in arranged.items():
        texts[f"layouts/{stem}.md"] = "\n".join(filter(None, [*map(_section, tables), markdown.recipes(tables)]))
        texts[f"layouts/{stem}.tex"] = latex.document(tables)
        texts[f"layouts/{stem}.csv"] = tables_csv.dumps(tables)
    for part in ("figures", "layouts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    written = [_write(folder / name, text) for name, text in texts.items()]
    for stale in set((folder / "layouts").iterdir()) - set(written):
        stale.unlink()
    pictures = figures.draw(results, quality, against, dear, reference, folder / "figures", choice)
    return [*written, *pictures, dashboard.write(results, quality, dear, reference, about)]


def _present(results: Results, part: tuple[str, str], reference: str) -> str:
    """The reference, or the part's first method where the suite does not run the reference."""
    methods = results.part_methods(*part)
    return reference if reference in methods else methods[0]


def tables_markdown(run: Mapping[str, Any], tables: Sequence[Table], about: Sequence[Listing]) -> str:
    """tables.md: what is compared, the tables, the recipes, the failures, where the numbers come from."""
    parts = [f"# {markdown.escape(str(run.get('title') or run.get('suite') or 'Results'))}"]
    before, after = about[:2], about[2:]
    parts += [f"## {part.title}\n\n{markdown.listing(part.headers, part.rows)}" for part in before]
    parts += map(_section, tables)
    for part in after:
        text = markdown.listing(part.headers, part.rows) if part.rows else f"{part.empty}\n"
        parts += [f"## {part.title}\n\n{text}", *map(markdown.escape, part.notes)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def costs_markdown(results: Results, tables: Sequence[Table]) -> str:
    """costs.md: time and memory for each device, and the state of the code that they were measured with."""
    parts = [f"# Costs: {markdown.escape(str(results.run.get('title') or results.run.get('suite') or 'Results'))}"]
    parts += map(_section, tables)
    if not tables:
        parts.append("No costs were measured.")
    said = [("commit", ", ".join(distinct(results, "commit"))), ("torch", ", ".join(distinct(results, "torch")))]
    parts += ["## Measured with", markdown.listing(("what", "value"), said)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _section(table: Table) -> str:
    return f"## {markdown.escape(table.title)}\n\n{markdown.table(table)}"


def _write(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
    return path
