"""A table of everything that a data set and protocol has, cut to tables that can be read.

Tables of means and differences keep every method and metric: figures, the CSV and the dashboard need them all. On
paper, metrics of one section stand in a table of their own, and what was never meant to have a value is a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reports.table import Cell, Table


def sections(table: Table) -> tuple[Table, ...]:
    """A table for each section of the columns, in their order, without the rows and columns that say nothing."""
    found = []
    for section in dict.fromkeys(column.section for column in table.columns):
        places = [place for place, column in enumerate(table.columns) if column.section == section]
        part = _columns(table, places)
        found.append(_without_gaps(replace(part, title=f"{table.title}, {section}") if section else part))
    return tuple(found)


def _columns(table: Table, places: Sequence[int]) -> Table:
    return replace(
        table,
        columns=tuple(table.columns[place] for place in places),
        rows=tuple(replace(row, cells=tuple(row.cells[place] for place in places)) for row in table.rows),
    )


def _without_gaps(table: Table) -> Table:
    """Leave out rows, then columns, that are n/a throughout for one reason, and say so in the caption.

    A failure always stays, as does a table that would have nothing left.
    """
    left_out: dict[str, list[str]] = {}
    gaps = {place: reason for place, row in enumerate(table.rows) if (reason := _gap(row.cells))}
    if 0 < len(gaps) < len(table.rows):
        for place, reason in gaps.items():
            left_out.setdefault(reason, []).append(table.rows[place].labels[0])
        table = replace(table, rows=tuple(row for place, row in enumerate(table.rows) if place not in gaps))
    gaps = {place: reason for place in range(len(table.columns))
            if (reason := _gap([row.cells[place] for row in table.rows]))}  # fmt: skip
    if 0 < len(gaps) < len(table.columns):
        for place, reason in gaps.items():
            left_out.setdefault(reason, []).append(table.columns[place].title)
        table = _columns(table, [place for place in range(len(table.columns)) if place not in gaps])
    said = (f" Left out, without any value ({reason}): {'; '.join(names)}." for reason, names in left_out.items())
    return replace(table, caption=table.caption + "".join(said))


def _gap(cells: Iterable[Cell]) -> str:
    """The one reason why none of the cells has a value and none has failed; empty where there is no such reason."""
    cells = list(cells)
    reasons = {cell.reason for cell in cells}
    silent = all(cell.value is None and not cell.failures for cell in cells)
    return reasons.pop() if silent and len(reasons) == 1 else ""
