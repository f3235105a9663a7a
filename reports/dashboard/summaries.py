"""Summaries in words of a column of means, which claim no more than its paired intervals support.

A sentence is a list of texts and of method indices, which the page replaces by names.
"""

from __future__ import annotations

import pandas as pd

from reports.frame import Results
from reports.statistics import LEVEL, MIN_PAIRS, equivalent, paired_interval, sign
from reports.table import Cell, Column, Table
from reports.table import number as ascii_number

Sentence = list[str | int]


def summary(results: Results, table: Table, column: int) -> Sentence:
    """The best method, the methods not distinguishable from it, and the difference to the next one.

    Args:
        results: the run.
        table: of means, with its marks.
        column: index of a column.
    """
    metric = table.columns[column]
    cells = {results.methods.index(row.method): row.cells[column] for row in table.rows}
    compared = [index for index, cell in cells.items() if cell.value is not None]
    if not compared:
        return [f"No method has enough values of {metric.title} to compare."]
    extreme, worse = ("lowest", "higher") if metric.direction == "lower" else ("highest", "lower")
    order = sorted(compared, key=lambda index: -sign(metric.direction) * _mean(cells[index]))
    best = order[0]
    n = cells[best].n
    if len(order) == 1:
        return [best, f" is the only method with values of {metric.title}: {_interval(cells[best], metric)}, n = {n}."]
    if cells[best].mark != "best":
        of = "images are" if n < MIN_PAIRS else "images of fewer people are"
        text = f"{n} {of} too few to distinguish methods by {metric.title}; the {extreme} mean is that of "
        return [text, best, f", {number(_mean(cells[best]), metric.digits)}."]
    sentence: Sentence = [best, f" has the {extreme} mean {metric.title}: {_interval(cells[best], metric)}"]
    tied = [index for index in order[1:] if cells[index].mark == "best"]
    others = [index for index in order[1:] if cells[index].mark != "best"]
    same = [index for index in tied if _equivalent(results, table, metric, best, index)]
    if same:
        sentence += [" and is equivalent to ", *_listed(same, "and"), f" (margin {metric.margin:g})"]
    if unclear := [index for index in tied if index not in same]:
        reason = "intervals of the differences contain" if len(unclear) > 1 else "interval of the difference contains"
        sentence += [", but is not distinguishable from ", *_listed(unclear, "or")]
        sentence += [f" at n = {n}: the paired {reason} zero"]
    sentence += ["."]
    if others:
        common = results.values(metric.name, table.dataset, table.protocol)
        common = common[[results.methods[index] for index in compared]].dropna()
        pair = [results.methods[others[0]], results.methods[best]]
        difference = _difference(results, table.dataset, common[pair], metric)
        sentence += [" The first distinguishable one, " if tied else " The next, ", others[0]]
        sentence += [f", is {worse} by {difference}"]
        if len(others) > 1:
            plural = f"s of the other {len(others) - 1} differences exclude"
            sentence += [f"; the interval{plural if len(others) > 2 else ' of the other difference excludes'} zero too"]
        sentence += ["."]
    if cells[best].partial:
        sentence += [f" Compared on the {n} of {cells[best].expected} images that all methods have."]
    return sentence


def _equivalent(results: Results, table: Table, metric: Column, best: int, other: int) -> bool:
    common = results.values(metric.name, table.dataset, table.protocol)
    pair = common[[results.methods[best], results.methods[other]]].dropna()
    values, groups = pair.to_numpy(), results.groups(table.dataset, list(pair.index))
    return metric.margin > 0 and equivalent(values[:, 0], values[:, 1], metric.margin, groups)


def number(value: float, digits: int) -> str:
    """Fixed decimals with a typographic minus."""
    return ascii_number(value, digits).replace("-", "\N{MINUS SIGN}")


def _difference(results: Results, dataset: str, common: pd.DataFrame, column: Column) -> str:
    """How much worse the first of two methods is than the second, the best one, with the interval."""
    groups = results.groups(dataset, list(common.index))
    values = common.to_numpy()
    interval = paired_interval(values[:, 0], values[:, 1], groups)
    flip = -sign(column.direction)
    low, high = sorted((flip * interval.low, flip * interval.high))
    digits = column.digits
    while digits < column.digits + 3 and float(ascii_number(low, digits)) == 0.0:  # not "0.000 to 0.000"
        digits += 1
    mean, low_text, high_text = (number(value, digits) for value in (flip * interval.mean, low, high))
    return f"{mean} ({LEVEL:.0%} interval {low_text} to {high_text})"


def _interval(cell: Cell, column: Column) -> str:
    if cell.low is None or cell.high is None:  # a single person
        return number(_mean(cell), column.digits)
    low, high = number(cell.low, column.digits), number(cell.high, column.digits)
    unit = f" {column.unit}" if column.unit else ""
    return f"{number(_mean(cell), column.digits)}{unit} ({low} to {high})"


def _mean(cell: Cell) -> float:
    assert cell.value is not None
    return cell.value


def _listed(methods: list[int], last: str) -> Sentence:
    """a, b or c"""
    sentence: Sentence = []
    for index, method in enumerate(methods):
        if index:
            sentence.append(f" {last} " if index == len(methods) - 1 else ", ")
        sentence.append(method)
    return sentence
