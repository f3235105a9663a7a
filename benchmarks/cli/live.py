"""What a command shows in the terminal: how far a run is, and its results at the end."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.engine.progress import State
    from reports.frame import Results
    from reports.table import Table as Summary

logger = logging.getLogger(__name__)
EVERY = 60.0  # seconds between lines where there is no terminal
REDRAWN = 0.5


def duration(seconds: float | None) -> str:
    """As a person says it: "40 s", "6 min", "2 h 10 min"; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def live(quiet: bool) -> Iterator[Callable[[State], None]]:
    """A function that shows the state of a run: redrawn in place on a terminal, else a line a minute."""
    if quiet:
        yield lambda _: None
        return
    console, shown = Console(stderr=True), [0.0]
    if not console.is_terminal:
        yield lambda state: _line(state, shown)
        return
    with Live(console=console, transient=True, auto_refresh=False) as view:

        def show(state: State) -> None:
            if time.monotonic() - shown[0] > REDRAWN:
                shown[0] = time.monotonic()
                view.update(_view(state), refresh=True)

        yield show


def describe(state: State) -> str:
    """The state in a line."""
    if not state.total:
        return state.phase
    left = f", {duration(state.left)} left" if state.left is not None else ""
    return f"{state.phase} {state.done:,} of {state.total:,}{left}" + (f": {state.doing}" if state.doing else "")


def _line(state: State, shown: list[Any]) -> None:
    """Where there is no terminal: a line a minute and a phase, and one with the first means of each method."""
    if time.monotonic() - shown[0] > EVERY or shown[1:2] != [state.phase]:
        shown[:] = [time.monotonic(), state.phase, *shown[2:]]
        logger.info("%s", describe(state))
    for dataset, methods in state.means.items():
        for method, values in methods.items():
            if (dataset, method) not in shown:
                shown.append((dataset, method))
                listed = ", ".join(f"{name} {mean:.4g}" for name, (mean, _) in values.items())
                images = max(n for _, n in values.values())
                logger.info("%s on %s, first %d images: %s", method, dataset, images, listed)


def _view(state: State) -> Group:
    parts: list[Any] = [describe(state), ProgressBar(total=max(1, state.total), completed=state.done, width=60)]
    for dataset, methods in list(state.means.items())[-1:]:  # the data set at work
        table = Table(title=f"first means on {dataset}", title_justify="left", box=None, padding=(0, 2, 0, 0))
        names = list(dict.fromkeys(name for values in methods.values() for name in values))
        for name in ("method", *names, "images"):
            table.add_column(name, justify="left" if name == "method" else "right")
        for method, values in methods.items():
            means = [f"{values[name][0]:.4g}" if name in values else "" for name in names]
            table.add_row(method, *means, str(max(n for _, n in values.values())))
        parts.append(table)
    return Group(*parts)


def results_table(results: Results) -> None:
    """Print a run's summary: methods over data sets by headline metrics, the best ones bold, and failures.

    Data sets that do not fit beside one another get a table each.
    """
    from reports.summary import summary

    console = Console(file=sys.stdout, highlight=False)
    console = console if console.is_terminal else Console(file=sys.stdout, highlight=False, width=160)
    whole = summary(results)
    table = _results_table(results, whole)
    if Measurement.get(console, console.options.update(max_width=1000), table).maximum <= console.width:
        console.print(table)
    else:
        for name in dict.fromkeys(column.dataset for column in whole.columns):
            print(results.title("datasets", name))
            console.print(_results_table(results, summary(results, [name]), alone=True))
    print("* best, or not distinguishable from the best; s: seconds an image")


def _results_table(results: Results, shown: Summary, alone: bool = False) -> Table:
    """alone: all columns are of one data set, which is named above the table."""
    from reports.summary import failed, seconds, text

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="")
    line = "" if alone else "\n"
    table.add_column(f"{line}method", no_wrap=True)
    last = ""
    for column in shown.columns:
        first, last = column.dataset != last, column.dataset
        above = results.title("datasets", column.dataset).split(",")[0] if first and column.dataset else ""
        above = "" if alone else f"{above}\n"
        table.add_column(f"{above}{column.title} {column.arrow}", justify="right", no_wrap=True)
    took, lost = seconds(results), failed(results)
    table.add_column(f"{line}s", justify="right")
    if lost:
        table.add_column(f"{line}failed", justify="right")
    for row in shown.rows:
        cells = [Text(f"{text(column, cell)}*", "bold") if cell.mark == "best" else Text(f"{text(column, cell)} ")
                 for column, cell in zip(shown.columns, row.cells, strict=True)]  # fmt: skip
        spent = f"{took[row.method]:.2f}" if row.method in took else ""
        table.add_row(Text(row.labels[0]), *cells, spent, *([str(lost.get(row.method, 0))] * bool(lost)))
    return table
