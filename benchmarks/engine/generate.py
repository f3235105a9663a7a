"""The images that protocols make themselves, after all inverting: handed out by claims, as the inversions are.

Claims of such work stand beside those of inverting, under the name of the folder of its rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm.auto import tqdm

from benchmarks.engine.claims import RETRIES, Claims, Presence, Watch
from benchmarks.engine.plan import StageRun
from benchmarks.engine.queue import Watchdog, hand_size
from benchmarks.engine.run import Run
from benchmarks.engine.runner import ALONE, Duty, Shard
from benchmarks.engine.store import RowFiles
from benchmarks.protocols.base import GeneratingProtocol

ALL = Shard()
Part = tuple[GeneratingProtocol, StageRun]


def generate(run: Run, shard: Shard = ALL, progress: bool = True, duty: Duty = ALONE, pause: float = 0.5) -> int:
    """Make and read what is missing; returns the number of images. Waits for what others hold, as they may die."""
    left = pending(run, shard)
    if not left:
        return 0
    presence = Presence(run.out, duty.name)
    watch, dog = Watch(run.out), Watchdog(duty.timeout, presence.ended)
    works: dict[str, _Work] = {}
    done = 0
    try:
        with tqdm(total=sum(map(len, left.values())), desc="editing", unit="image", disable=not progress) as bar:
            while left:
                count = 0
                for (protocol, stage_run), tasks in left.items():
                    files = protocol.row_files(run, stage_run)
                    name = files.names.name
                    if name not in works:
                        works[name] = _Work(protocol, files, Claims(run.out, name, presence, watch))
                    size = hand_size(run.plan.suite.batch_size, protocol.parallel_images(stage_run), duty.workers)
                    for hand in works[name].hands(tasks, size):
                        dog.start(len(hand))
                        protocol.generate(run, stage_run, hand, works[name].lines)
                        dog.stop()
                        works[name].release(hand)
                        count += len(hand)
                        bar.update(len(hand))
                done += count
                if not count:
                    time.sleep(pause)
                left = pending(run, shard)
        return done
    finally:
        dog.stop()
        for work in works.values():
            work.claims.give_back()
        presence.close()


def pending(run: Run, shard: Shard = ALL) -> dict[Part, list[Any]]:
    """What is to be made and is not made yet, by protocol and stage run."""
    found = {}
    for protocol in run.plan.protocols:
        if isinstance(protocol, GeneratingProtocol):
            for stage_run in run.plan.stage_runs:
                tasks = {task.image: task for task in protocol.tasks(run, stage_run)}
                mine = shard.take([[image] for image in protocol.chosen(stage_run)])
                if todo := [tasks[image] for image in mine if image in tasks]:
                    found[protocol, stage_run] = todo
    return found


def row_files(run: Run) -> list[RowFiles]:
    """The files of all rows of what protocols make."""
    return [protocol.row_files(run, stage_run) for protocol, stage_run in pending(run)]


@dataclass
class _Work:
    """What is to be made of one stage run for one protocol."""

    protocol: GeneratingProtocol
    files: RowFiles
    claims: Claims
    done: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines = self.files.writer()

    def hands(self, tasks: Sequence[Any], size: Callable[[int], int]) -> Iterator[list[Any]]:
        """One pass over what nobody else has. size: of a hand, by how many are left. An image at which a worker died
        comes alone.
        """
        hand: list[Any] = []
        claimed = self.claims.standing()
        for n, task in enumerate(tasks):
            if not self.claims.take(task.image, claimed):
                continue
            for row in self.files.new_rows():
                self.done.setdefault(row["image"], []).append(row)
            if any(map(task.done, self.done.get(task.image, ()))):
                self.release([task])
                continue
            deaths = claimed.get(task.image, 0)
            if deaths > RETRIES:
                causes = ", then ".join(dict.fromkeys(self.claims.endings(task.image, deaths)))
                reason = (
                    f"the worker died {deaths} times at this image: {causes}; remove {self.files.folder} to try again"
                )
                self.lines.append(self.protocol.failed_row(task, reason))
                self.release([task])
            elif deaths:
                yield [task]
            else:
                hand.append(task)
                if len(hand) < size(len(tasks) - n):
                    continue
                yield hand
                hand = []
            claimed = self.claims.standing()
        if hand:
            yield hand

    def release(self, tasks: Sequence[Any]) -> None:
        for task in tasks:
            self.claims.release(task.image)
