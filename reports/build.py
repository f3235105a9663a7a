"""`build(directory)`: everything that a run's rows say, written to DIR/report. The same rows, the same bytes.

tables.md, tables.tex and tables.csv hold what does not depend on the day: two runs of one suite that differ in
their timings only give the same bytes. Timings, memory and the commit are in costs.md and costs.csv.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from reports import figures, latex, markdown, tables_csv
from reports.frame import ReportError, Results, read
from reports.table import Table, number
from reports.tabulate import costs, means, paired

# Keys of run.json's versions and generator that differ between two equal runs, or name a machine.
VOLATILE = ("commit", "date", "time", "timestamp", "created", "started", "finished", "host", "hostname", "user")
IMAGES_IN_GRID = 6
FIRST_IDS = 3


def build(directory: str | Path, reference: str = "") -> list[Path]:
    """Write DIR/report from DIR/results.parquet, DIR/run.json and DIR/images; returns the paths written.

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
    texts = {
        "tables.md": tables_markdown(results, quality, against),
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
    return written + pictures


def tables_markdown(results: Results, quality: Sequence[Table], against: Sequence[Table]) -> str:
    """tables.md: what is compared, the tables, the recipes, the failures, where the numbers come from."""
    run = results.run
    parts = [f"# {markdown.escape(str(run.get('title') or run.get('suite') or 'Results'))}", "## What is compared"]
    parts.append(
        markdown.listing(
            ("method", "title", "stages", "space", "paper", "year", "reimplementation", "note"), _methods(results)
        )
    )
    parts.append("## Sets")
    parts.append(
        markdown.listing(
            ("set", "title", "domain", "images", "failed", "licence", "recipe", "key"),
            _datasets(results),
        )
    )
    parts += [f"## {markdown.escape(table.title)}\n\n{markdown.table(table)}" for table in [*quality, *against]]
    parts.append("## Recipes of the metrics")
    parts.append(
        markdown.listing(
            ("metric", "title", "version", "better", "unit", "range", "recipe", "reference"), _metrics(results)
        )
    )
    parts.append("## Failures")
    lost = list(failures(results))
    headers = ("set", "protocol", "method", "status", "reason", "metrics", "images", "first images")
    parts.append(markdown.listing(headers, lost) if lost else "None: every method gave every image and every metric.\n")
    parts.append("## Where the numbers come from")
    parts.append(markdown.listing(("what", "value"), _provenance(results)))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def costs_markdown(results: Results, tables: Sequence[Table]) -> str:
    """costs.md: time and memory for each device, and the state of the code that they were measured with."""
    parts = [f"# Costs: {markdown.escape(str(results.run.get('title') or results.run.get('suite') or 'Results'))}"]
    parts += [f"## {markdown.escape(table.title)}\n\n{markdown.table(table)}" for table in tables]
    if not tables:
        parts.append("No costs were measured.")
    said = [("commit", ", ".join(_distinct(results, "commit"))), ("torch", ", ".join(_distinct(results, "torch")))]
    parts += ["## Measured with", markdown.listing(("what", "value"), said)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def failures(results: Results) -> Iterator[tuple[str, ...]]:
    """Images without a value by reason: set, protocol, method, status, reason, metrics, how many, first ids."""
    for dataset, protocol in results.parts:
        rows = results.scores(dataset, protocol)
        lost = rows[rows["status"] != "ok"]
        for method in results.methods:
            own = lost[lost["method"] == method]
            head = (dataset, protocol, method)
            for key, group in own.groupby(["status", "reason"], sort=True):
                named = set(group["metric"])
                which = "all" if "" in named or named >= set(results.metrics) else ", ".join(
                    metric for metric in results.metrics if metric in named)  # fmt: skip
                ids = sorted(set(group["image"]) - {""})
                more = ", ..." * (len(ids) > FIRST_IDS)
                yield (
                    *head,
                    str(key[0]),
                    str(key[1]),
                    which,
                    str(len(ids) or "all"),
                    ", ".join(ids[:FIRST_IDS]) + more,
                )
            whole = (own["image"] == "").any()
            absent = results.expected(dataset) - rows.loc[rows["method"] == method, "image"].nunique()
            if absent and not whole:
                yield (*head, "missing", "not run", "all", str(absent), "")


def _methods(results: Results) -> Iterator[tuple[str, ...]]:
    for name, info in results.run["methods"].items():
        said = [_text(info.get(key)) for key in ("title", "stages", "space", "paper", "year")]
        yield (
            name,
            *said,
            {True: "yes", False: "no"}.get(info.get("reimplementation"), ""),
            _text(info.get("note")),
        )


def _datasets(results: Results) -> Iterator[tuple[str, ...]]:
    lost = results.losses[results.losses["status"] == "failed"]
    for name, info in results.run["datasets"].items():
        images = lost.loc[(lost["dataset"] == name) & (lost["image"] != ""), "image"].nunique()
        said = [_text(info.get(key)) for key in ("licence", "recipe", "key")]
        yield (name, _text(info.get("title")), _text(info.get("domain")), str(info["n"]), str(images), *said)


def _metrics(results: Results) -> Iterator[tuple[str, ...]]:
    for name in results.metrics:
        info = results.info(name)
        low, high = info.get("range") or (None, None)
        bounds = f"{'-∞' if low is None else _text(low)} to {'∞' if high is None else _text(high)}"
        head = (name, _text(info.get("title")), str(info["version"]), info["direction"], _text(info.get("unit")))
        yield (*head, bounds, _text(info.get("recipe")), _text(info.get("reference")))


def _provenance(results: Results) -> Iterator[tuple[str, str]]:
    yield "suite", _text(results.run.get("suite"))
    for column in ("device", "precision", "seed"):
        yield column, ", ".join(_distinct(results, column))
    for section in ("generator", "versions"):
        for key, value in _flat(results.run.get(section) or {}):
            yield f"{section}: {key}" if section == "generator" else key, value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if key.lower() in VOLATILE:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:  # a path says where a machine keeps a file, not which file it is: its name does
            text = Path(value).name if isinstance(value, str) and Path(value).is_absolute() else _text(value)
            yield prefix + key, text


def _text(value: Any) -> str:
    if value is None:
        return ""
    return " + ".join(_text(part) for part in value) if isinstance(value, list | tuple) else str(value)


def _distinct(results: Results, column: str) -> list[str]:
    return [str(value) for value in sorted(set(results.rows[column]) - {""})]


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
