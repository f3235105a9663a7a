"""Tables and listings as GitHub-flavoured markdown. All texts from the data are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby

from reports.table import EQUIVALENT, Cell, Column, Table, bounded, common, count, letter, measured, number

_MARKUP = str.maketrans({char: "\\" + char for char in "\\`*_[]#|~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """One line of plain text without markup, HTML, table bars or maths; control characters become spaces."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return ("\\" if line[:1] in ("+", "-", "=") else "") + line.translate(_MARKUP)


def table(value: Table) -> str:
    """A table with caption, dagger and footnotes."""
    header = [*value.headers, *(heading(column) for column in value.columns)]
    reasons = value.reasons()
    lines: list[list[str]] = []
    for band, rows in groupby(value.rows, key=lambda row: row.band):
        if band:
            lines.append([f"*{escape(band)}*", *[""] * (len(header) - 1)])
        for row in rows:
            cells = map(partial(cell_text, value, reasons), value.columns, row.cells)
            lines.append([*map(escape, row.labels), *cells])
    aligned = [":--"] * len(value.headers) + ["--:"] * len(value.columns)
    recipes = " Recipes: section Metrics." if measured([value]) else ""
    parts = [_grid(header, aligned, lines), escape(value.text + recipes)]
    if any(cell.partial for _, _, cell in value.cells()):
        parts.append(f"† {escape(value.dagger)}")
    parts += [f"<sup>{letter(index)}</sup> {escape(reason)}" for index, reason in enumerate(reasons)]
    return "\n\n".join(parts) + "\n"


def listing(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts."""
    return _grid(headers, [":--"] * len(headers), [[escape(text) for text in row] for row in rows]) + "\n"


def recipes(tables: Iterable[Table]) -> str:
    """The section to which the captions of tables refer; empty where no column has a recipe."""
    columns = measured(tables)
    if not columns:
        return ""
    lines = listing(("metric", "recipe", "version"), ((one.title, one.recipe, str(one.version)) for one in columns))
    return "\n\n".join(["## Metrics", lines.rstrip("\n"), *map(escape, common(columns))]) + "\n"


def heading(column: Column) -> str:
    """A column's title, unit and arrow, below the title of its group."""
    group = f"{escape(column.group)}<br>" if column.group else ""
    return f"{group}{escape(column.heading)} {column.arrow}".rstrip()


def cell_text(value: Table, reasons: Sequence[str], column: Column, cell: Cell) -> str:
    """A cell of a table.

    Args:
        value: the table.
        reasons: its footnotes, of which an n/a cell refers to one.
        column, cell: the cell and its column.
    """
    if cell.value is None:
        return f"n/a<sup>{letter(reasons.index(cell.reason))}</sup>"
    signed = value.kind == "paired"
    text = escape(cell.text) if cell.text else number(cell.value, column.digits, signed)
    if cell.mark in ("best", "better"):
        text = f"**{text}**"
    elif cell.mark == "second":
        text = f"<ins>{text}</ins>"
    text += "†" if cell.partial else ""
    if bounded(value, cell):
        bounds = (number(bound, column.digits, signed) for bound in (cell.low, cell.high) if bound is not None)
        text += f" [{', '.join(bounds)}]"
    text += f" {EQUIVALENT}" if cell.mark == "equivalent" else ""
    images = count(value, cell)
    return f"{text} ({images})" if images else text


def _grid(header: Sequence[str], aligned: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, aligned, *rows))
