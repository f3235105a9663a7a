"""Dealing the images to edit, by claims as the inversions are: nobody idles, and nothing is edited twice.

A claim of an image's editing stands under `edits-<key>`, beside the stage run's own; see benchmarks/engine/queue.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from benchmarks.engine.claims import RETRIES, Claims, Presence, Watch
from benchmarks.engine.plan import Plan
from benchmarks.engine.queue import Watchdog, hand_size
from benchmarks.engine.run import Run
from benchmarks.engine.runner import ALONE, Duty, Shard
from benchmarks.engine.store import Row
from benchmarks.protocols.editing.measure import WHOLE, EditStore, Task, due, edit_images, newest
from benchmarks.protocols.editing.plan import Editing


def edit(run: Run, shard: Shard = WHOLE, progress: bool = True, duty: Duty = ALONE, pause: float = 0.5) -> int:
    """Edit and read what is due; returns the number of images. Waits for what others hold, as they may die."""
    editing = run.plan.editing
    if editing is None or not (left := _left(run, editing, shard)):
        return 0
    presence = Presence(run.out, duty.name)
    watch, dog = Watch(run.out), Watchdog(duty.timeout, presence.ended)
    works = {
        key: _Work(run.out, key, editing, Claims(run.out, f"edits-{key}", presence, watch)) for key in editing.keys
    }
    done = 0
    try:
        with tqdm(total=sum(map(len, left.values())), desc="editing", unit="image", disable=not progress) as bar:
            while left:
                count = 0
                for key, todo in left.items():
                    size = hand_size(run.plan.suite.batch_size, _together(run.plan, editing, key), duty.workers)
                    for hand in works[key].hands(todo, size):
                        dog.start(len(hand))
                        edit_images(run, editing, run.plan.stage_run(key), hand, works[key].lines)
                        dog.stop()
                        works[key].release(hand)
                        count += len(hand)
                        bar.update(len(hand))
                done += count
                if not count:
                    time.sleep(pause)
                left = _left(run, editing, shard)
        return done
    finally:
        dog.stop()
        for work in works.values():
            work.claims.give_back()
        presence.close()


def _together(plan: Plan, editing: Editing, key: str) -> int:
    """Images that cost as much as one, where edited pictures are inverted again by all stages of the stage run."""
    if key not in editing.again_keys:
        return 1
    return max(stage.cls.parallel_images(stage.config) for stage in plan.stage_run(key).stages)


def _left(run: Run, editing: Editing, shard: Shard) -> dict[str, list[Task]]:
    return {key: todo for key in editing.keys if (todo := due(run, key, shard))}


@dataclass
class _Work:
    """What is to be edited of one stage run."""

    out: Path
    key: str
    editing: Editing
    claims: Claims
    known: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = EditStore(self.out, self.key).row_files()
        self.lines = self.files.writer()

    def hands(self, todo: Sequence[Task], size: Callable[[int], int]) -> Iterator[list[Task]]:
        """One pass over what nobody else has. size: of a hand, by how many are left. An image at which a worker died
        comes alone.
        """
        hand = list[Task]()
        claimed = self.claims.standing()
        for n, task in enumerate(todo):
            if not self.claims.take(task.image, claimed):
                continue
            newest(self.known, self.files.new_rows(), self.editing.digest)
            if task.done(self.known.get(task.image)):
                self.release([task])
                continue
            deaths = claimed.get(task.image, 0)
            if deaths > RETRIES:
                self._put_aside(task, deaths)
            elif deaths:
                yield [task]
            else:
                hand.append(task)
                if len(hand) < size(len(todo) - n):
                    continue
                yield hand
                hand = []
            claimed = self.claims.standing()
        if hand:
            yield hand

    def release(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self.claims.release(task.image)

    def _put_aside(self, task: Task, deaths: int) -> None:
        ways = ", then ".join(dict.fromkeys(self.claims.endings(task.image, deaths)))
        reason = f"the worker died {deaths} times as it edited this image: {ways}; remove edits/{self.key} to try again"
        parts: dict[str, Any] = {name: {"reason": reason} for name in ("edits", "line", "again")}
        self.lines.append(task.row(self.editing) | parts | {"seconds": 0.0})
        self.release([task])
