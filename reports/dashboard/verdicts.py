"""What a column of a table lets one say, in words, and no more than its paired intervals bear.

A sentence is a list of texts and of numbers, which stand for methods by their place: the page sets those as names.
"""

from __future__ import annotations

import pandas as pd

from reports.frame import Results
from reports.statistics import LEVEL, MIN_PAIRS, paired_interval
from reports.table import Cell, Column, Table
from reports.table import number as ascii_number

Sentence = list[str | int]


def verdict(results: Results, table: Table, column: int) -> Sentence:
    """Who is best by a column of means, who cannot be told from it, and by how much the next one differs."""
    what = table.columns[column]
    cells = {results.methods.index(row.method): row.cells[column] for row in table.rows}
    compared = [place for place, cell in cells.items() if cell.value is not None]
    if not compared:
        return [f"No method has enough values of {what.title} to compare."]
    extreme = "lowest" if what.direction == "lower" else "highest"
    sign = 1.0 if what.direction == "lower" else -1.0
    order = sorted(compared, key=lambda place: sign * _mean(cells[place]))
    best = order[0]
    n = cells[best].n
    if len(order) == 1:
        return [best, f" alone has values of {what.title}: {_interval(cells[best], what)}, n = {n}."]
    if n < MIN_PAIRS:
        said: Sentence = [
            f"{n} images are too few to tell methods apart in {what.title}; the {extreme} mean is that of "
        ]
        return [*said, best, f", {number(_mean(cells[best]), what.digits)}."]
    said = [best, f" has the {extreme} mean {what.title}: {_interval(cells[best], what)}"]
    tied = [place for place in order[1:] if cells[place].mark == "best"]
    told = [place for place in order[1:] if cells[place].mark != "best"]
    if tied:
        why = "intervals of the differences contain" if len(tied) > 1 else "interval of the difference contains"
        said += [", but cannot be told from ", *_listed(tied, "or"), f": the paired {why} zero."]
    else:
        said += ["."]
    if told:
        common = results.values(what.name, table.dataset, table.protocol)
        common = common[[results.methods[place] for place in compared]].dropna()
        worse = "higher" if what.direction == "lower" else "lower"
        said += [" The first that can be told apart, " if tied else " The next, ", told[0]]
        said += [f", is {worse} by {_difference(common, results.methods[told[0]], results.methods[best], what)}"]
        if len(told) > 1:
            more = (
                "of the other difference excludes"
                if len(told) == 2
                else f"of the other {len(told) - 1} differences exclude"
            )
            said += [f"; the interval{'s' * (len(told) > 2)} {more} zero too"]
        said += ["."]
    if cells[best].partial:
        said += [f" Judged on the {n} of {cells[best].expected} images that all have."]
    return said


def number(value: float, digits: int) -> str:
    return ascii_number(value, digits).replace("-", "\N{MINUS SIGN}")


def _difference(common: pd.DataFrame, method: str, best: str, column: Column) -> str:
    found = paired_interval(common[method].to_numpy(), common[best].to_numpy())
    flip = 1.0 if column.direction == "lower" else -1.0
    low, high = sorted((flip * found.low, flip * found.high))
    digits = column.digits
    while digits < column.digits + 3 and float(ascii_number(low, digits)) == 0.0:  # "0.000 to 0.000" would say nothing
        digits += 1
    mean, low_text, high_text = (number(value, digits) for value in (flip * found.mean, low, high))
    return f"{mean} ({LEVEL:.0%} interval {low_text} to {high_text})"


def _interval(cell: Cell, column: Column) -> str:
    assert cell.low is not None and cell.high is not None
    low, high = number(cell.low, column.digits), number(cell.high, column.digits)
    unit = f" {column.unit}" if column.unit else ""
    return f"{number(_mean(cell), column.digits)}{unit} ({low} to {high})"


def _mean(cell: Cell) -> float:
    assert cell.value is not None
    return cell.value


def _listed(places: list[int], last: str) -> Sentence:
    """a, b or c"""
    said: Sentence = []
    for index, place in enumerate(places):
        if index:
            said.append(f" {last} " if index == len(places) - 1 else ", ")
        said.append(place)
    return said
