"""Layouts: YAML files that define the rows, columns and data sets of a paper's table, and their titles.

`load` reads a shipped layout (reports/layouts) by name or any file by path; `arrange` makes the Tables of a run.
Results that a run does not have are n/a with a footnote; the caption lists optional groups of columns that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml.error
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inversion_bench.registry import near_miss
from inversion_bench.settings import explain
from reports import published
from reports.frame import ReportError, Results
from reports.listings import VOLATILE
from reports.table import Cell, Column, Row, Table
from reports.tabulate import COMMON, INTERVAL, MARKS, column, mean_cells

LAYOUTS = Path(__file__).parent / "layouts"
EVERY = "*"
SPLITS = ("tables", "rows", "columns")


@dataclass(frozen=True)
class LayoutColumn:
    """One metric, or with "*" all metrics of the protocol.

    protocol: by default the first one that measured the metric. name, unit and digits replace the metric's own.
    """

    metric: str = ""
    protocol: str = ""
    name: str = ""
    unit: str | None = None
    digits: int | None = None


@dataclass(frozen=True)
class LayoutGroup:
    """Neighbouring columns under one title. optional: left out, with a note, where the run has none of the metrics."""

    title: str = ""
    optional: bool = False
    columns: list[LayoutColumn] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """A paper's table.

    Attributes:
        split: data sets as "tables", as bands of "rows", or as groups of "columns".
        methods, datasets: names in the order of the table; all of the run when empty.
        names: other titles for methods and data sets.
        digits: decimals of columns that do not set their own.
        intervals: whether they are printed.
        published: tables of reports/published.yaml that follow the run's own.
        compact: whether LaTeX sets all of it on one upright page, as far as it fits.
    """

    title: str = ""
    caption: str = ""
    split: str = "tables"
    methods: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    groups: list[LayoutGroup] = field(default_factory=list)
    digits: int | None = None
    intervals: bool = True
    published: list[str] = field(default_factory=list)
    compact: bool = False

    def named(self, results: Results, kind: str, name: str) -> str:
        """What the layout calls a method or data set (kind is run.json's key); its own title by default."""
        return self.names.get(name) or (results.title(kind, name) if name in results.run[kind] else name)


def layout_names() -> list[str]:
    return sorted(path.stem for path in LAYOUTS.glob("*.yaml"))


def load(name: str) -> tuple[str, Layout]:
    """(stem, layout) of a shipped layout's name or a file's path. Raises ReportError."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else LAYOUTS / f"{name}.yaml"
    if not path.is_file():
        raise ReportError(
            f"no layout {name!r}: {near_miss(path.stem, layout_names())}shipped: {', '.join(layout_names())}; "
            "or give the path of a .yaml file"
        )
    try:
        layout: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Layout), OmegaConf.load(path)))
    except (OmegaConfBaseException, yaml.error.YAMLError, ValueError, TypeError, OSError) as error:
        raise ReportError(f"{path}: {explain(error, 'a layout')}") from error
    for problem in _contradictions(layout):
        raise ReportError(f"{path}: {problem}")
    return path.stem, layout


def _contradictions(layout: Layout) -> Iterator[str]:
    if layout.split not in SPLITS:
        yield f"split is {layout.split!r}, expected one of {', '.join(SPLITS)}"
    if not any(group.columns for group in layout.groups):
        yield "no group has columns; a table needs at least one"
    for group in layout.groups:
        if any(not column.metric for column in group.columns):
            yield f"a column of the group {group.title!r} names no metric"
    for name, digits in [("digits", layout.digits), *((c.metric, c.digits) for g in layout.groups for c in g.columns)]:
        if digits is not None and not 0 <= digits <= 9:
            yield f"{name}: expected 0 to 9 decimals, found {digits}"
    known = published.names()
    for name in layout.published:
        if name not in known:
            yield f"no published table {name!r}: {near_miss(name, known)}known: {', '.join(known)}"


def arrange(results: Results, layout: Layout) -> list[Table]:
    """The run's tables in the layout, followed by the published ones."""
    datasets = layout.datasets or list(results.datasets)
    blocks = [datasets] if layout.split in ("rows", "columns") else [[dataset] for dataset in datasets]
    own = [_table(results, layout, block) for block in blocks]
    return own + [published.table(name) for name in layout.published]


def _table(results: Results, layout: Layout, datasets: list[str]) -> Table:
    """One table of the data sets, which are bands of rows or groups of columns, or of a single data set."""
    wide = layout.split == "columns"
    blocks = [datasets] if wide else [[dataset] for dataset in datasets]
    first = _columns(results, layout, datasets, wide)
    rows = []
    for block in blocks:
        columns = first if wide else [replace(one, dataset=block[0]) for one in first]
        methods = layout.methods or [m for m in results.methods if any(_runs(results, d, m) for d in block)]
        cells = [_cells(results, one, methods) for one in columns]
        band = _set_title(results, layout, block[0]) if layout.split == "rows" else ""
        for index, method in enumerate(methods):
            label = layout.named(results, "methods", method)
            rows.append(Row(method, (label,), tuple(part[index] for part in cells), band, "" if wide else block[0]))
    title = layout.title or str(results.run.get("title") or results.run.get("suite") or "Results")
    if layout.split == "tables":
        title += f": {_set_title(results, layout, datasets[0])}"
    return Table(
        kind="means", dataset="" if len(datasets) > 1 else datasets[0], protocol="", title=title,
        caption=_caption(results, layout, datasets), headers=("method",), columns=tuple(first), rows=tuple(rows),
        dagger=f"{COMMON}: n of the expected; methods ok on fewer than half are left out.", intervals=layout.intervals,
    )  # fmt: skip


def _set_title(results: Results, layout: Layout, dataset: str) -> str:
    size = f" (n = {results.expected(dataset)})" if dataset in results.run["datasets"] else ""
    title = layout.named(results, "datasets", dataset)
    if layout.compact and dataset in results.run["datasets"]:  # up to the comma where that tells it from the others
        titles = [results.title("datasets", name).partition(",")[0] for name in results.run["datasets"]]
        short = title.partition(",")[0]
        title = short if titles.count(short) < 2 else dataset
    return f"{title}{size}"


def _caption(results: Results, layout: Layout, datasets: list[str]) -> str:
    sets = [results.run["datasets"][name] for name in datasets if name in results.run["datasets"]]
    crops = dict.fromkeys(str(info.get("recipe") or "") for info in sets)
    parts = [
        layout.caption,
        *(
            f"{group.title}: not measured in this run."
            for group in layout.groups
            if _left_out(results, group, results.datasets)
        ),
        f"Mean over the n images of a data set{f' with {INTERVAL}' if layout.intervals else ''}. {MARKS}",
        f"Images: {'; '.join(filter(None, crops))}." if any(crops) else "",
        _made_with(results),
    ]
    return " ".join(filter(None, parts))


def _made_with(results: Results) -> str:
    generator, versions = results.run.get("generator") or {}, results.run.get("versions") or {}
    named = f"Generator: {generator.get('name', '')} ({str(generator.get('sha256', ''))[:12]}). " if generator else ""
    listed = [f"{key} {value}" for key, value in versions.items() if key not in VOLATILE]
    seeds = sorted(set(results.rows["seed"]))
    return f"{named}Seed {', '.join(map(str, seeds))}. Made with {', '.join(listed)}." if listed else named.strip()


def _measured(results: Results, dataset: str, metric: str) -> list[str]:
    """Protocols of a data set under which a metric has rows."""
    return [protocol for name, protocol in results.parts
            if name == dataset and metric in results.part_metrics(name, protocol)]  # fmt: skip


def _left_out(results: Results, group: LayoutGroup, datasets: Sequence[str]) -> bool:
    """Whether a group is optional, and none of its metrics was measured on any of the data sets."""
    known = [name for name in datasets if name in results.run["datasets"]]
    pairs = [(pair, name) for one in group.columns for name in known for pair in _resolve(results, one, name)]
    return group.optional and not any(
        protocol in _measured(results, name, metric) for (metric, protocol), name in pairs
    )


def _resolve(results: Results, wanted: LayoutColumn, dataset: str) -> list[tuple[str, str]]:
    """The (metric, protocol) pairs of a layout's column on a data set."""
    if wanted.metric != EVERY:
        protocols = [wanted.protocol] if wanted.protocol else _measured(results, dataset, wanted.metric)[:1]
        return [(wanted.metric, (protocols or [""])[0])]
    return [(metric, protocol) for name, protocol in results.parts
            if name == dataset and protocol == (wanted.protocol or protocol)
            for metric in results.part_metrics(name, protocol)]  # fmt: skip


def _columns(results: Results, layout: Layout, datasets: list[str], wide: bool) -> list[Column]:
    """Columns of the table; where data sets are groups of columns, each under its title."""
    columns: list[Column] = []
    for dataset in datasets if wide else [""]:
        for group in layout.groups:
            if _left_out(results, group, [dataset] if wide else datasets):
                continue
            over = [_set_title(results, layout, dataset) if wide else "", group.title]
            for wanted in group.columns:
                # A metric may be measured on some of the data sets only: take the union.
                pairs = dict.fromkeys(pair for name in ([dataset] if wide else datasets)
                                      for pair in _resolve(results, wanted, name))  # fmt: skip
                for metric in dict.fromkeys(metric for metric, _ in pairs):
                    protocol = next((p for m, p in pairs if m == metric and p), "")
                    base, title = _base(results, layout, wanted, metric), ", ".join(filter(None, over))
                    columns.append(replace(base, group=title, dataset=dataset, protocol=protocol))
    return columns


def _base(results: Results, layout: Layout, wanted: LayoutColumn, metric: str) -> Column:
    known = metric in results.run["metrics"]
    base = column(results, metric) if known else Column(metric, metric, "lower", version=0)
    digits = next(d for d in (wanted.digits, layout.digits, base.digits) if d is not None)
    return replace(base, title=wanted.name or base.title, digits=digits,
                   unit=base.unit if wanted.unit is None else wanted.unit)  # fmt: skip


def _runs(results: Results, dataset: str, method: str) -> bool:
    return any(method in results.part_methods(dataset, p) for d, p in results.parts if d == dataset)


def _cells(results: Results, column: Column, methods: Sequence[str]) -> list[Cell]:
    """A column's cells; n/a with the reason where the run has no value."""
    if reason := _why_not(results, column):
        return [Cell(reason=reason)] * len(methods)
    known = [method for method in methods if method in results.methods]
    cells = dict(zip(known, mean_cells(results, column, column.dataset, column.protocol, known), strict=True))
    return [cells.get(method) or Cell(reason=_lacks("method", method, results.methods)) for method in methods]


def _why_not(results: Results, column: Column) -> str:
    """Why the run has no number in a column at all; empty where it may have some."""
    if column.dataset not in results.run["datasets"]:
        return _lacks("data set", column.dataset, list(results.run["datasets"]))
    if column.name not in results.run["metrics"]:
        return _lacks("metric", column.name, results.metrics)
    if column.protocol not in _measured(results, column.dataset, column.name):
        under = f" under the protocol {column.protocol}" if column.protocol else ""
        return f"{column.name} was not measured on {column.dataset}{under}"
    return ""


def _lacks(kind: str, name: str, known: Sequence[str]) -> str:
    return f"the run has no {kind} {name}" + (f" ({near_miss(name, known).strip()})" if near_miss(name, known) else "")
