"""Verdicts of two runs of one suite, side by side: which conclusions would another seed or another machine change?

A verdict is the mark of a paired difference to the reference method: better, worse, equivalent, or none. A change from
better to worse or back is a reversal; the others are a difference that one of the two runs does not distinguish.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports import markdown
from reports.frame import Results
from reports.table import CellMark
from reports.tabulate import differences

SETTLED = {"better", "worse"}


@dataclass(frozen=True)
class Verdict:
    """The marks that runs A and B give one method and metric."""

    dataset: str
    protocol: str
    method: str
    metric: str
    a: CellMark
    b: CellMark

    @property
    def changed(self) -> bool:
        """Whether one run calls the method better or worse, and the other does not."""
        return self.a != self.b and bool({self.a, self.b} & SETTLED)

    @property
    def reversed(self) -> bool:
        return {self.a, self.b} == SETTLED


def marks(results: Results, reference: str) -> dict[tuple[str, str, str, str], CellMark]:
    """The mark of each difference of a run, by data set, protocol, method and metric.

    Args:
        results: the run.
        reference: the method that all others are compared with; a part without it compares with its first method.
    """
    return {
        (table.dataset, table.protocol, row.method, column.name): cell.mark
        for table in differences(results, reference)
        for row, column, cell in table.cells()
        if cell.value is not None
    }


def verdicts(a: Results, b: Results) -> list[Verdict]:
    """The verdicts that both runs give against A's reference, in the order of A's tables."""
    left, right = (marks(run, a.reference) for run in (a, b))
    return [Verdict(*key, mark, right[key]) for key, mark in left.items() if key in right]


def section(a: Results, b: Results) -> Iterator[str]:
    """The part of a comparison that says which verdicts of A run B does not repeat, as markdown."""
    found = verdicts(a, b)
    if not found:
        return
    changed = [one for one in found if one.changed]
    reversals = sum(one.reversed for one in changed)
    yield "## Verdicts"
    yield (
        f"Of {len(found)} differences to {markdown.escape(a.title('methods', a.reference))} in both runs, "
        f"{len(changed)} ({len(changed) / len(found):.1%}) are called better or worse in one run only; {reversals} "
        "are reversed."
    )
    if changed:
        rows = (
            (one.dataset, one.protocol, one.method, one.metric, one.a or "not distinguishable",
             one.b or "not distinguishable")
            for one in changed
        )  # fmt: skip
        yield markdown.listing(("data set", "protocol", "method", "metric", "A", "B"), rows)
