"""`build(directory)`: the report of a run, written to DIR/report; equal rows give equal bytes.

tables.md begins with a summary. tables.tex has the summary and the layouts that were asked for; latex/ has every table
as a file to input, also for one column of a paper, and references.bib. None of them holds anything that depends on the
day: two runs of one suite that differ in their timings only give the same bytes. Timings, memory and the commit are in
costs.md and costs.csv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inversion_bench.files import write_text
from reports import bibliography, dashboard, figures, latex, layout, markdown, published_comparison, tables_csv
from reports.equal_time import equal_time
from reports.frame import ReportError, Results, read
from reports.listings import Listing, distinct, listings
from reports.sections import sections
from reports.summary import summary
from reports.table import Table
from reports.tabulate import costs, differences, means

EVERY_KIND = figures.Choice()


def build(
    directory: str | Path, reference: str = "", layouts: Sequence[str] = (), choice: figures.Choice = EVERY_KIND
) -> list[Path]:
    """Write DIR/report from DIR/results.parquet, DIR/run.json and DIR/images.

    Args:
        directory: a finished run.
        reference: the method that paired tables compare with and image grids rank by; by default the suite's.
        layouts: names or files of reports.layout; each is written to DIR/report/layouts as markdown, LaTeX and CSV.
        choice: the images that figures show.

    Returns:
        The paths written; of the dashboard its two pages only, as it has files for every image and method.

    Raises:
        FileNotFoundError, ReportError: the run cannot be reported; nothing is written.
    """
    results = read(directory)
    reference = reference or results.reference
    if reference not in results.methods:
        raise ReportError(f"expected a reference among {list(results.methods)}, found {reference!r}")
    choice.check(results)
    arranged = [(stem, one.compact, layout.arrange(results, one)) for stem, one in map(layout.load, layouts)]
    quality = [means(results, *part) for part in results.parts] if results.metrics else []
    compared = differences(results, reference) if quality else []
    cost_tables = [costs(results, *part) for part in results.parts if not results.costs(*part).empty]
    at_equal_time = [table for part in results.parts if (table := equal_time(results, *part))]
    published = published_comparison.tables(results)
    shown = [part for table in quality for part in sections(table)]
    printed = [*shown, *(part for table in compared for part in sections(table)), *published]
    first = [summary(results)] if quality else []
    about = [*listings(results), *published_comparison.warnings(results)]
    texts = {
        "tables.md": tables_markdown(results.run, printed, about, first),
        "tables.tex": latex.document([*first, *(table for _, _, tables in arranged for table in tables)]),
        "recipes.tex": latex.recipes(printed),
        "tables.csv": tables_csv.dumps([*quality, *compared, *published]),
        "costs.md": costs_markdown(results, [*at_equal_time, *cost_tables]),
        "costs.csv": tables_csv.dumps([*at_equal_time, *cost_tables]),
    }
    for table in [*first, *printed]:
        stem = "summary" if table in first else latex.label(table)
        texts |= {f"latex/{stem}.tex": latex.part(table), f"latex/{stem}_column.tex": latex.column_wide(table)}
    texts["latex/references.bib"] = bibliography.citation(results)
    folder = results.directory / "report"
    for stem, compact, tables in arranged:
        texts[f"layouts/{stem}.md"] = "\n".join(filter(None, [*map(_section, tables), markdown.recipes(tables)]))
        texts[f"layouts/{stem}.tex"] = latex.document(tables, latex.PAPER if compact else latex.SHEETS)
        texts[f"layouts/{stem}.csv"] = tables_csv.dumps(tables)
    (folder / "layouts").mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in texts]
    for path, text in zip(written, texts.values(), strict=True):
        write_text(path, text)
    for stale in {path for name in ("layouts", "latex") for path in (folder / name).iterdir()} - set(written):
        stale.unlink()
    drawn = figures.draw(results, quality, compared, cost_tables, reference, folder / "figures", choice)
    page = dashboard.write(results, quality, cost_tables, reference, about)
    return [*written, *drawn, page, page.with_name("share.html")]


def tables_markdown(
    run: Mapping[str, Any], tables: Sequence[Table], about: Sequence[Listing], first: Sequence[Table] = ()
) -> str:
    """The text of tables.md: a summary, methods and data sets, the tables, recipes, failures and provenance."""
    parts = [f"# {markdown.escape(str(run.get('title') or run.get('suite') or 'Results'))}"]
    parts += map(_section, first)
    before, after = about[:2], about[2:]
    parts += [f"## {part.title}\n\n{markdown.listing(part.headers, part.rows)}" for part in before]
    parts += map(_section, tables)
    for part in after:
        text = markdown.listing(part.headers, part.rows) if part.rows else f"{part.empty}\n"
        parts += [f"## {part.title}\n\n{text}", *map(markdown.escape, part.notes)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def costs_markdown(results: Results, tables: Sequence[Table]) -> str:
    """The text of costs.md: time and memory for each device, and the version of the code that was measured."""
    parts = [f"# Costs: {markdown.escape(str(results.run.get('title') or results.run.get('suite') or 'Results'))}"]
    parts += map(_section, tables)
    if not tables:
        parts.append("No costs were measured.")
    versions = [("commit", ", ".join(distinct(results, "commit"))), ("torch", ", ".join(distinct(results, "torch")))]
    parts += ["## Measured with", markdown.listing(("what", "value"), versions)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _section(table: Table) -> str:
    return f"## {markdown.escape(table.title)}\n\n{markdown.table(table)}"
