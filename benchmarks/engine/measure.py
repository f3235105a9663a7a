"""Measuring what a run has stored: every protocol's missing scores, one loop for all protocols; it never inverts.

    DIR/scores/<stage run>/<metric>-v<version>.jsonl   a line an image: its Score, and the stamp of what was measured

The last line of an image counts. Scores of inline protocols are in the rows of the inversions instead.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine.plan import StageRun
from benchmarks.engine.run import Run
from benchmarks.engine.store import JsonLines, read_lines
from benchmarks.engine.types import ImageKey, Row, Score
from benchmarks.protocols.base import Item, Need, Protocol, without_value
from methods.base import Inversion
from metrics.base import MetricInfo

CHUNK = 64  # images whose scores are written at once
FINAL = ("ok", "undefined")  # statuses that stay while the files do; whatever else was missing may be there now

Tell = Callable[[Mapping[str, int], str, int], None]

log = logging.getLogger(__name__)


@torch.no_grad()
def score(run: Run, only: Collection[str] | None = None, tell: Tell = lambda *_: None) -> int:
    """Compute what is missing of every pipeline; returns the number of scores computed.

    Args:
        run: the run; the lock of its folder is held.
        only: keys of stage runs to which it is restricted, while others still invert: then only what needs nothing but
            single stored images is measured.
        tell: called with the scores that are to be computed of each protocol, then after each chunk with those done.
    """
    keys = [key for key in dict.fromkeys(run.plan.leaf.values()) if only is None or key in only]
    jobs = [
        _Job(run, protocol, run.plan.stage_run(key))
        for protocol in run.plan.protocols
        if (protocol.needs == Need.STORED if only is not None else Need.INLINE not in protocol.needs)
        for key in keys
    ]
    counts: dict[str, int] = defaultdict(int)
    for job in jobs:
        counts[job.protocol.name] += job.count
    tell(counts, "", 0)
    for job in jobs:
        for done in job.work():
            tell(counts, job.protocol.name, done)
    return sum(counts.values())


class _Job:
    """The scores of a protocol and a stage run that are missing or of older files."""

    def __init__(self, run: Run, protocol: Protocol, stage_run: StageRun):
        self.run, self.protocol = run, protocol
        self.lines = {info.name: _Lines(run.out, stage_run, info) for info in protocol.infos()
                      if info.name not in run.plan.skipped}  # fmt: skip
        items = protocol.items(run, stage_run)
        stale: dict[str, set[str]] = {
            name: {
                item.image for item in items if name in item.stamps and not each.fresh(item.image, item.stamps[name])
            }
            for name, each in self.lines.items()
        }
        if Need.SETS in protocol.needs:
            everything = {item.image for item in items}
            stale = {name: everything if images else images for name, images in stale.items()}
        self.todo = []
        for item in items:
            if stamps := {name: stamp for name, stamp in item.stamps.items() if item.image in stale.get(name, ())}:
                self.todo.append(replace(item, stamps=stamps))
        self.count = sum(len(item.stamps) for item in self.todo)
        for lines in self.lines.values():
            lines.rows.clear()  # of a million images nobody needs them again

    def work(self) -> Iterator[int]:
        """Compute and store them, a chunk at a time; yields how many."""
        size = max(1, len(self.todo) if Need.SETS in self.protocol.needs else CHUNK)
        for start in range(0, len(self.todo), size):
            by_metric: dict[str, list[dict[str, Any]]] = defaultdict(list)
            chunk = self.todo[start : start + size]
            stamps = {item.image: item.stamps for item in chunk}
            for one in measured(self.run, self.protocol, chunk):
                by_metric[one.metric].append(asdict(one) | {"stamp": stamps[one.image][one.metric]})
            for name, rows in by_metric.items():
                self.lines[name].file.append(*rows)
            yield sum(len(item.stamps) for item in chunk)


def measured(run: Run, protocol: Protocol, items: Sequence[Item]) -> Iterator[Score]:
    """What a protocol measures of items of one stage run; where it raises, the rest are failures."""
    tables = {info.name: (table, info) for table, infos in protocol.metrics().items() for info in infos}
    held = []
    for item in items:
        undefined = run.plan.undefined(item.stage_run.dataset)
        for name in item.stamps.keys() & undefined:
            yield without_value(*tables[name], item.image, "skipped", undefined[name])
        held.append(replace(item, stamps={k: stamp for k, stamp in item.stamps.items() if k not in undefined}))
    items = [item for item in held if item.stamps]
    left = {(item.image, name) for item in items for name in item.stamps}
    try:
        for one in protocol.measure(run, items, run.device):
            if (one.image, one.metric) in left:
                left.remove((one.image, one.metric))
                yield one
        reason = "the protocol gave no score"
    except Exception as error:  # of a protocol that may be anyone's: it must not cost the scores of the others
        log.exception("protocol %s", protocol.name)
        reason = f"{type(error).__name__}: {error}"
    for image, name in sorted(left):
        yield without_value(*tables[name], image, "failed", reason)


def measure_inline(run: Run, stage_run: StageRun, inversion: Inversion) -> list[Score]:
    """Scores of the inline protocols for an inversion of length 1, which has its tuned weights."""
    image = ImageKey.parse(inversion.ids[0]).image
    scores: list[Score] = []
    for protocol in run.plan.protocols:
        if Need.INLINE in protocol.needs:
            names = [info.name for info in protocol.infos() if info.name not in run.plan.skipped]
            scores += measured(run, protocol, [Item(stage_run, image, dict.fromkeys(names), inversion)])
    return scores


def stored_scores(
    run: Run, protocol: Protocol, stage_run: StageRun, rows: Mapping[str, Row]
) -> Mapping[str, Mapping[str, Score]]:
    """The stored scores of a stage run by metric and image; those of inline protocols are in `rows`, its rows."""
    if Need.INLINE not in protocol.needs:
        return {info.name: _Lines(run.out, stage_run, info).scores() for info in protocol.infos()}
    scores: dict[str, dict[str, Score]] = {info.name: {} for info in protocol.infos()}
    versions = {info.name: info.version for info in protocol.infos()}
    for image, row in rows.items():
        for score in row.scores:
            if versions.get(score.metric) == score.version:
                scores[score.metric][image] = score
    return scores


_KEYS = {"image", "metric", "protocol", "status", "value", "version", "stamp"}  # a line without one is no score


class _Lines:
    """The score file of one metric of a stage run."""

    def __init__(self, out: Path, stage_run: StageRun, info: MetricInfo):
        path = out / "scores" / stage_run.key / f"{info.name}-v{info.version}.jsonl"
        self.file = JsonLines(path)
        lines = read_lines([path] if path.exists() else [])
        self.rows = {row["image"]: row for row in lines if row.keys() >= _KEYS}

    def fresh(self, image: str, stamp: Any) -> bool:
        row = self.rows.get(image)
        return row is not None and row["stamp"] == stamp and row["status"] in FINAL

    def scores(self) -> dict[str, Score]:
        return {image: Score(**{key: value for key, value in row.items() if key != "stamp"})
                for image, row in self.rows.items()}  # fmt: skip
