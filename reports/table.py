"""Tables as values: the content of a cell (value, interval, n, failures, reason) is separate from its formatting.

tabulate.py and layout.py build Tables from results, published.py from the numbers of papers; sections.py splits them
into readable ones; markdown.py, latex.py and tables_csv.py print them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reports.statistics import Direction

EQUIVALENT = "eq."  # printed after a difference within its margin
CellMark = Literal["", "best", "second", "better", "worse", "equivalent"]
ARROWS: Mapping[Direction, str] = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Column:
    """A metric as a column.

    Attributes:
        digits: decimals printed.
        margin: difference within which two methods are called equivalent; 0 for none.
        version: of the metric; 0 for a metric that the run does not have and whose direction is unknown.
        shared: the part of the recipe that other metrics share.
        section: title of the separate table in which a report prints the metric; "" for the main table.
        group: printed above neighbouring columns that share it.
        dataset, protocol: where they are not the table's own.
    """

    name: str
    title: str
    direction: Direction
    unit: str = ""
    digits: int = 3
    margin: float = 0.0
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
        return ARROWS[self.direction] if self.version else ""


@dataclass(frozen=True)
class Cell:
    """A mean (or mean difference) over n of the expected images, or None with the reason.

    low and high are None where no interval is known; text is the number as a publication prints it.
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
    """A method; labels has one text per header of the table, first the method's title.

    band is printed above neighbouring rows that share it; dataset is given where it is not the table's own.
    """

    method: str
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    band: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class Table:
    """A table of one data set and protocol, or of a layout.

    The caption continues the title; dagger explains partial cells; reference is the method that a paired table compares
    with; intervals: whether bounds are printed.
    """

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
    """Title and unit; a unit that the title contains already is not repeated."""
    return title if not unit or f"({unit})" in title else f"{title} ({unit})"


def number(value: float, digits: int, signed: bool = False) -> str:
    """Fixed decimals with an ASCII minus; never "-0.00"."""
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def bounded(table: Table, cell: Cell) -> bool:
    """Whether an interval is printed after the number."""
    return table.intervals and cell.low is not None and cell.high is not None


def measured(tables: Iterable[Table]) -> tuple[Column, ...]:
    """The distinct metrics of the tables that have a recipe."""
    columns = {(column.name, column.title): column for table in tables for column in table.columns if column.recipe}
    return tuple(columns.values())


def common(columns: Iterable[Column]) -> tuple[str, ...]:
    """The distinct texts that recipes of the columns share."""
    return tuple(dict.fromkeys(column.shared for column in columns if column.shared))


def letter(index: int) -> str:
    """The mark of a footnote: a, b, ..., z, aa, ab, ..."""
    return (letter(index // 26 - 1) if index >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[index % 26]


def count(table: Table, cell: Cell) -> str:
    """The count after a number: wins of n, or n where it is not the table's own."""
    if cell.wins is not None:
        return f"{cell.wins}/{cell.n}"
    return f"n = {cell.n}" if cell.partial or table.kind == "costs" else ""
