"""The full table of a data set and protocol, split into readable ones.

Tables of means and differences keep all methods and metrics, for figures, the CSV and the dashboard. In print, the
metrics of a section have a table of their own, and rows and columns without any value become a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reports.table import Cell, Table


def sections(table: Table) -> tuple[Table, ...]:
    """A table for each section of the columns, in their order, without empty rows and columns."""
    parts = []
    for section in dict.fromkeys(column.section for column in table.columns):
        indices = [index for index, column in enumerate(table.columns) if column.section == section]
        part = columns(table, indices)
        parts.append(_without_gaps(replace(part, title=f"{table.title}, {section}") if section else part))
    return tuple(parts)


def columns(table: Table, indices: Sequence[int]) -> Table:
    """A table of some of the columns."""
    return replace(
        table,
        columns=tuple(table.columns[index] for index in indices),
        rows=tuple(replace(row, cells=tuple(row.cells[index] for index in indices)) for row in table.rows),
    )


def _without_gaps(table: Table) -> Table:
    """Leave out rows, then columns, that are n/a throughout for one reason; the caption lists them.

    Failures are kept, as is a table that would be empty.
    """
    left_out: dict[str, list[str]] = {}
    gaps = {index: reason for index, row in enumerate(table.rows) if (reason := _gap(row.cells))}
    if 0 < len(gaps) < len(table.rows):
        for index, reason in gaps.items():
            left_out.setdefault(reason, []).append(table.rows[index].labels[0])
        table = replace(table, rows=tuple(row for index, row in enumerate(table.rows) if index not in gaps))
    gaps = {index: reason for index in range(len(table.columns))
            if (reason := _gap([row.cells[index] for row in table.rows]))}  # fmt: skip
    if 0 < len(gaps) < len(table.columns):
        for index, reason in gaps.items():
            left_out.setdefault(reason, []).append(table.columns[index].title)
        table = columns(table, [index for index in range(len(table.columns)) if index not in gaps])
    notes = (f" Left out, without any value ({reason}): {'; '.join(names)}." for reason, names in left_out.items())
    return replace(table, caption=table.caption + "".join(notes))


def _gap(cells: Iterable[Cell]) -> str:
    """The common reason why no cell has a value and none has failed; empty where there is none."""
    cells = list(cells)
    reasons = {cell.reason for cell in cells}
    empty = all(cell.value is None and not cell.failures for cell in cells)
    return reasons.pop() if empty and len(reasons) == 1 else ""
