"""Tables as values: what a cell knows (value, interval, n, failures, reason) is kept apart from how it is printed.

tabulate.py and layout.py build Tables from results, published.py from the numbers of papers; sections.py cuts them to
what can be read; markdown.py, latex.py and tables_csv.py print them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from reports.statistics import Direction

CellMark = Literal["", "best", "second", "better", "worse"]


@dataclass(frozen=True)
class Column:
    """A metric as a column: digits are the decimals shown.

    group is printed above neighbouring columns that share it; dataset and protocol where they are not the table's own.
    section is the title of the metrics that a plain table shows apart, "" for the main ones. shared: what the recipe
    has in common with other metrics. Version 0: a metric that the run does not know, with a direction nobody has said.
    """

    name: str
    title: str
    direction: Direction
    unit: str = ""
    digits: int = 3
    version: int = 1
    recipe: str = ""
    shared: str = ""
    section: str = ""
    group: str = ""
    dataset: str = ""
    protocol: str = ""

    @property
    def heading(self) -> str:
        return with_unit(self.title, self.unit)

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑"}[self.direction] if self.version else ""


@dataclass(frozen=True)
class Cell:
    """A mean (or mean difference) over n of the expected images, or None with the reason.

    low and high are None where nothing is known of the spread; text is the number as a source prints it.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    expected: int = 0
    failures: int = 0
    wins: int | None = None
    mark: CellMark = ""
    reason: str = ""
    text: str = ""

    @property
    def partial(self) -> bool:
        return self.value is not None and self.n < self.expected


@dataclass(frozen=True)
class Row:
    """A method; labels has one text per header of the table, the first being the method's title.

    band is printed above neighbouring rows that share it; dataset where it is not the table's own.
    """

    method: str
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    band: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class Table:
    """One data set and protocol, or what a layout asks for. The caption goes on where the title ends; dagger explains
    partial cells; reference is the method of a paired table; intervals says whether bounds are printed."""

    kind: Literal["means", "paired", "costs", "published"]
    dataset: str
    protocol: str
    title: str
    caption: str
    headers: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    dagger: str = ""
    reference: str = ""
    intervals: bool = True

    @property
    def text(self) -> str:
        """Title and caption."""
        return f"{self.title.rstrip('.')}. {self.caption}"

    def reasons(self) -> tuple[str, ...]:
        """Distinct reasons of the n/a cells in reading order: the footnotes a, b, c."""
        return tuple(dict.fromkeys(cell.reason for _, _, cell in self.cells() if cell.value is None))

    def cells(self) -> Iterator[tuple[Row, Column, Cell]]:
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                yield row, column, cell


def with_unit(title: str, unit: str) -> str:
    """Title and unit; a unit that the title says already is not said twice."""
    return title if not unit or f"({unit})" in title else f"{title} ({unit})"


def number(value: float, digits: int, signed: bool = False) -> str:
    """Fixed decimals with an ASCII minus; never "-0.00"."""
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def bounded(table: Table, cell: Cell) -> bool:
    """Whether an interval is printed behind the number."""
    return table.intervals and cell.low is not None and cell.high is not None


def measured(tables: Iterable[Table]) -> tuple[Column, ...]:
    """The metrics with a recipe that the tables show, each once."""
    columns = {(column.name, column.title): column for table in tables for column in table.columns if column.recipe}
    return tuple(columns.values())


def common(columns: Iterable[Column]) -> tuple[str, ...]:
    """What several recipes of the columns share, each once."""
    return tuple(dict.fromkeys(column.shared for column in columns if column.shared))


def letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ...: the sign of footnote number index."""
    return (letter(index // 26 - 1) if index >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[index % 26]


def count(table: Table, cell: Cell) -> str:
    """What is said about n behind a number: wins of n, or n where it is not the table's own."""
    if cell.wins is not None:
        return f"{cell.wins}/{cell.n}"
    return f"n = {cell.n}" if cell.partial or table.kind == "costs" else ""
