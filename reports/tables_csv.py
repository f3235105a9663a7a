"""Tables as one CSV in long format: a line per cell, numbers at nine significant digits."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from reports.table import Table

HEADER = (
    "table", "dataset", "protocol", "method", "reference", "group", "metric", "metric_version", "direction", "unit",
    "value", "low", "high", "n", "expected", "failures", "wins", "mark", "reason",
)  # fmt: skip


def dumps(tables: Iterable[Table]) -> str:
    """CSV text; the column `group` holds a row's further labels (device, precision, batch size), joined by slashes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for table in tables:
        for row, column, cell in table.cells():
            numbers = ["" if x is None else f"{x + 0.0:.9g}" for x in (cell.value, cell.low, cell.high)]
            wins = "" if cell.wins is None else cell.wins
            dataset, protocol = row.dataset or column.dataset or table.dataset, column.protocol or table.protocol
            direction = column.direction if column.version else ""
            writer.writerow([
                table.kind, dataset, protocol, row.method, table.reference, "/".join(row.labels[1:]), column.name,
                column.version, direction, column.unit, *numbers, cell.n, cell.expected, cell.failures, wins, cell.mark,
                cell.reason,
            ])  # fmt: skip
    return text.getvalue()
