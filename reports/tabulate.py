"""Tables of means, of paired differences and of costs, for each data set and protocol of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from reports.frame import COSTS, FAILURES, ReportError, Results
from reports.statistics import (
    LEVEL,
    MIN_PAIRS,
    Interval,
    better,
    equivalent,
    marks,
    mean_interval,
    paired_interval,
    wins,
)
from reports.table import EQUIVALENT, Cell, CellMark, Column, Row, Table

# A method that is ok on a smaller fraction of the expected images would shrink the common subset: it is n/a instead.
MIN_COVERAGE = 0.5
INTERVAL = f"{LEVEL:.0%} interval (Student's t, skewness corrected; images of one person count as one group)"
MARKS = (
    "Bold: the best method and those that paired tests do not find worse at the level of the column (Holm over the "
    f"pairs of methods); underlined: the second best likewise; no marks for fewer than {MIN_PAIRS} images or people."
)
BUSY = 1.2  # load average for each processor from which on times are not those of an idle machine
COMMON = "mean over the images on which all methods with a number in the column are ok"


def means(results: Results, dataset: str, protocol: str) -> Table:
    """A row per method, a column per quality metric: means with intervals, best and second best marked."""
    methods = results.part_methods(dataset, protocol)
    expected = results.expected(dataset, protocol)
    columns = _columns(results, dataset, protocol)
    by_column = [mean_cells(results, one, dataset, protocol, methods) for one in columns]
    return Table(
        kind="means", dataset=dataset, protocol=protocol, title=_title(results, dataset, protocol),
        caption=f"{expected} images. Mean with {INTERVAL}. {MARKS}{_images(results, dataset)}"
        f"{_absent(results, methods)}", headers=("method",), columns=columns, rows=_rows(results, methods, by_column),
        dagger=f"{COMMON}: n of the {expected} expected; methods ok on fewer than half are left out.",
    )  # fmt: skip


def paired(results: Results, dataset: str, protocol: str, reference: str) -> Table:
    """Each method compared with the reference: mean difference, its interval, and the number of images it is better on.

    Args:
        results: the run.
        dataset, protocol: a part of the run.
        reference: the method whose values are subtracted.

    Raises:
        ReportError: the run has no such reference.
    """
    if reference not in results.methods:
        raise ReportError(f"expected a reference among {list(results.methods)}, found {reference!r}")
    methods = results.part_methods(dataset, protocol)
    others = [method for method in methods if method != reference]
    against = results.title("methods", reference)
    columns = _columns(results, dataset, protocol)
    by_column = [_paired_cells(results, one, dataset, protocol, reference, others) for one in columns]
    return Table(
        kind="paired", dataset=dataset, protocol=protocol, reference=reference,
        title=f"{_title(results, dataset, protocol)}: differences to {against}",
        caption=f"Mean difference to {against}, paired by image, with {INTERVAL}; in parentheses the number of images "
        "on which the method is better, of those on which both are ok. Bold: better, and the interval excludes zero "
        f"(at least {MIN_PAIRS} images or people; each difference is tested alone)."
        f"{_equivalence(columns)} What is neither is not distinguishable at this n."
        f"{_images(results, dataset)}{_absent(results, methods)}", headers=("method",),
        columns=columns, rows=_rows(results, others, by_column),
        dagger=f"fewer than the {results.expected(dataset, protocol)} expected images are ok for both methods.",
    )  # fmt: skip


def differences(results: Results, reference: str) -> list[Table]:
    """The `paired` table of each part with more than one method.

    reference: of all parts; one that lacks it compares with its first method.
    """
    parts = [(part, results.part_methods(*part)) for part in results.parts]
    return [paired(results, *part, reference if reference in methods else methods[0])
            for part, methods in parts if len(methods) > 1]  # fmt: skip


def _columns(results: Results, dataset: str, protocol: str) -> tuple[Column, ...]:
    return tuple(column(results, metric) for metric in results.part_metrics(dataset, protocol))


def _rows(results: Results, methods: Sequence[str], by_column: Sequence[Sequence[Cell]]) -> tuple[Row, ...]:
    """A row for each method of cells by column and method."""
    return tuple(
        Row(method, (results.title("methods", method),), tuple(cells[index] for cells in by_column))
        for index, method in enumerate(methods)
    )


def costs(results: Results, dataset: str, protocol: str) -> Table:
    """A row per method, device, precision and batch size: costs are never averaged across them."""
    part = results.costs(dataset, protocol)
    measured = set(part["metric"]) | {"seconds", "peak_memory_mb"}
    columns = tuple(column(results, name) for name in COSTS if name in measured)
    loads = part.loc[part["metric"] == "load", "value"]
    group = ["device", "precision", "batch_size"]
    rows = []
    for method in results.part_methods(dataset, protocol):
        own = part[part["method"] == method]
        title = results.title("methods", method)
        for key, rows_of_key in own.groupby(group, sort=True):
            cells = tuple(
                _cost_cell(results, dataset, rows_of_key[rows_of_key["metric"] == one.name]) for one in columns
            )
            rows.append(Row(method, (title, *(str(value) for value in key)), cells))
        if own.empty:
            rows.append(Row(method, (title, "", "", ""), (Cell(reason="not measured"),) * len(columns)))
    return Table(
        kind="costs", dataset=dataset, protocol=protocol, title=_title(results, dataset, protocol),
        caption=f"Cost per image, mean with {INTERVAL}; a row for each device, precision and batch size. Memory: of a "
        "CUDA device what was allocated, else the process's resident memory while the batch was computed."
        f"{_busy(float(loads.max())) if len(loads) else ''}",
        headers=("method", "device", "precision", "batch size"), columns=columns, rows=tuple(rows),
    )  # fmt: skip


def _equivalence(columns: Sequence[Column]) -> str:
    margins = ", ".join(f"{one.title} {one.margin:g}" for one in columns if one.margin)
    return f" {EQUIVALENT}: equivalent, two one-sided tests at the margin ({margins})." if margins else ""


def _busy(load: float) -> str:
    """A warning, for the end of a caption, where times are not those of an idle machine."""
    return (
        f" Warning: the load was up to {load:.1f} for each processor; times are longer than on an idle machine."
        if load > BUSY
        else ""
    )


def mean_cells(results: Results, column: Column, dataset: str, protocol: str, methods: Sequence[str]) -> list[Cell]:
    """Cells of a column: means over the images that the compared methods have in common, with marks.

    Args:
        results: the run.
        column: of a metric that the part has rows of.
        dataset, protocol: a part of the run.
        methods: the methods to compare with each other.
    """
    values = results.values(column.name, dataset, protocol)  # [images, methods]
    expected = results.expected(dataset, protocol)
    ok = values.notna().sum()
    common = compared_values(results, column.name, dataset, protocol, methods)
    compared = list(common.columns)
    groups = results.groups(dataset, list(common.index))
    marked = dict(zip(compared, marks(common.to_numpy(), column.direction, groups), strict=True)) if compared else {}
    cells = []
    for method in methods:
        cell = Cell(expected=expected)
        if ok[method] < expected:
            lost = results, method, column, dataset, protocol
            cell = Cell(expected=expected, failures=_failures(*lost), reason=_why(*lost))
        if method in compared:
            interval = mean_interval(common[method].to_numpy(), groups)
            cell = _cell(interval, expected=expected, failures=cell.failures, reason=cell.reason, mark=marked[method])
        elif ok[method]:
            cell = replace(cell, reason=f"ok on only {ok[method]} of {expected} images: {cell.reason}")
        cells.append(cell)
    return cells


def compared_values(
    results: Results, metric: str, dataset: str, protocol: str, methods: Sequence[str] | None = None
) -> pd.DataFrame:
    """Values [images, methods] that a column compares: of methods with enough values, on the images they all have."""
    values = results.values(metric, dataset, protocol)
    expected = results.expected(dataset, protocol)
    ok = values.notna().sum()
    known = results.part_methods(dataset, protocol) if methods is None else methods
    compared = [method for method in known if ok[method] >= max(1, MIN_COVERAGE * expected)]
    common = values[compared].dropna()
    if common.empty:  # no image in common: only methods with all images are left to print
        compared = [method for method in compared if ok[method] == expected]
        common = values[compared].dropna()
    return common


def _paired_cells(
    results: Results, column: Column, dataset: str, protocol: str, reference: str, others: list[str]
) -> list[Cell]:
    values = results.values(column.name, dataset, protocol)
    expected = results.expected(dataset, protocol)
    cells = []
    for method in others:
        both = values[[method, reference]].dropna()
        if both.empty:
            cells.append(_unpaired(results, column, dataset, protocol, method, reference))
            continue
        cells.append(difference_cell(results, column, dataset, both[method], both[reference], expected))
    return cells


def difference_cell(
    results: Results, column: Column, dataset: str, values: pd.Series, others: pd.Series, expected: int = 0
) -> Cell:
    """The mean of values - others as a cell, marked better, worse or equivalent.

    Args:
        results, column, dataset: of the values.
        values, others: by image, of the same images.
        expected: images that there should be; by default those of the values.
    """
    pair, groups = (values.to_numpy(), others.to_numpy()), results.groups(dataset, list(values.index))
    difference = paired_interval(*pair, groups)
    mark: CellMark = ""
    if difference.excludes_zero:
        mark = "better" if better(difference.mean, column.direction) else "worse"
    elif column.margin and equivalent(*pair, column.margin, groups):
        mark = "equivalent"
    return _cell(difference, expected=expected or len(values), wins=wins(*pair, column.direction), mark=mark)


def _unpaired(results: Results, column: Column, dataset: str, protocol: str, method: str, reference: str) -> Cell:
    """The cell of two methods without a common image; the reason is the method's own where it has no value at all."""
    lost = method if not results.values(column.name, dataset, protocol)[method].notna().any() else reference
    why = _why(results, lost, column, dataset, protocol)
    reason = why if lost == method else f"no image is ok for both; {results.title('methods', lost)}: {why}"
    failures = _failures(results, lost, column, dataset, protocol)
    return Cell(expected=results.expected(dataset, protocol), failures=failures, reason=reason)


def _cell(interval: Interval, **values: Any) -> Cell:
    low, high = (None, None) if math.isnan(interval.low) else (interval.low, interval.high)
    return Cell(interval.mean, low, high, interval.n, **values)


def _cost_cell(results: Results, dataset: str, lines: pd.DataFrame) -> Cell:
    ok = lines[lines["status"] == "ok"]
    failures = int(lines["status"].isin(FAILURES).sum())
    if ok.empty:
        reasons = lines["reason"].value_counts()
        return Cell(failures=failures, reason=str(reasons.index[0]) if len(reasons) else "not measured")
    values = ok.groupby("image")["value"].mean()
    interval = mean_interval(values.to_numpy(), results.groups(dataset, list(values.index)))
    return _cell(interval, expected=interval.n, failures=failures)


def _lost(results: Results, method: str, column: Column, dataset: str, protocol: str) -> pd.DataFrame:
    rows = results.losses
    own = (rows["method"] == method) & (rows["dataset"] == dataset) & (rows["protocol"] == protocol)
    return rows[own & rows["metric"].isin([column.name, ""])]


def _failures(results: Results, method: str, column: Column, dataset: str, protocol: str) -> int:
    rows = _lost(results, method, column, dataset, protocol)
    return int(rows.loc[rows["status"].isin(FAILURES), "image"].nunique())


def _why(results: Results, method: str, column: Column, dataset: str, protocol: str) -> str:
    """Why images of a cell are missing: the most frequent reason of its rows, or that it was not run."""
    rows = _lost(results, method, column, dataset, protocol)
    if rows.empty:
        return "not run"
    counts = rows.groupby(["status", "reason"])["image"].nunique().sort_values(ascending=False, kind="stable")
    status, reason = (str(part) for part in counts.index[0])
    if status == "skipped":
        return f"skipped: {reason}"
    if status == "missing":
        return f"not yet: {reason}, {int(counts.iloc[0])} of {results.expected(dataset, protocol)} images"
    reason = f"undefined: {reason}" if status == "undefined" else reason
    return f"{int(counts.iloc[0])} of {results.expected(dataset, protocol)} images failed: {reason}"


def column(results: Results, metric: str) -> Column:
    """A metric of the run as a column."""
    info = results.info(metric)
    return Column(
        name=metric,
        title=results.title("metrics", metric),
        direction=info["direction"],
        unit=str(info.get("unit") or ""),
        digits=int(info.get("digits", 3)),
        margin=float(info.get("margin", 0.0)),
        version=int(info["version"]),
        recipe=str(info.get("recipe") or ""),
        shared=str(info.get("shared") or ""),
        section=str(info.get("group") or ""),
    )


def _title(results: Results, dataset: str, protocol: str) -> str:
    return f"{results.title('datasets', dataset)}, protocol {protocol}"


def _images(results: Results, dataset: str) -> str:
    recipe = str(results.run["datasets"][dataset].get("recipe") or "")
    return f" Images: {recipe}." if recipe else ""


def _absent(results: Results, methods: Sequence[str]) -> str:
    """The methods that the suite does not run on the part, for the end of a caption; they have no rows."""
    absent = [results.title("methods", method) for method in results.methods if method not in methods]
    return f" Not part of the suite here: {', '.join(absent)}." if absent else ""
