"""Work queues: chunks of images, claimed one by one as a worker asks for them, so that nobody idles or works twice.

A worker goes through the queues in order and takes what is free and ready. It comes back to what others hold and to
what waits for the stage before. An image at which a worker died is tried again alone, so that the next death is surely
its own, and after RETRIES more deaths it has failed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from benchmarks.engine.claims import RETRIES, Claims, Heartbeat, WorkerMonitor
from benchmarks.engine.store import RowFiles
from benchmarks.engine.types import WorkerOptions
from benchmarks.engine.watchdog import Watchdog

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)


class Tracker(Protocol[Item]):
    """Knows which items are done, by this worker or others."""

    def refresh(self) -> None:
        """Read what is new on disk."""

    def done(self, item: Item) -> bool: ...


class MadeRows:
    """The rows of images that a protocol makes."""

    def __init__(self, files: RowFiles):
        self.files = files
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def refresh(self) -> None:
        for row in self.files.new_rows():
            self.rows.setdefault(row["image"], []).append(row)

    def done(self, task: Any) -> bool:
        return any(map(task.done, self.rows.get(task.image, ())))


@dataclass(frozen=True)
class Chunk(Generic[T]):
    """Items that a worker has claimed together. failure: why they are not tried again; "" to process them."""

    items: list[T]
    failure: str = ""


class WorkQueue(Generic[T]):
    """The items of a stage run that a process may work on, shared with other workers.

    Args:
        units: items that are claimed and done together.
        claims: of the stage run; a unit is claimed under the name of its first item.
        tracker: knows what is done.
        size: items of a chunk, from the number of those that are left.
        name: the image of an item.
        parent: what has to be done for an item before it can be processed; None for nothing.
    """

    def __init__(
        self, units: Sequence[list[T]], claims: Claims, tracker: Tracker[T], size: Callable[[int], int],
        name: Callable[[T], str], parent: Tracker[T] | None = None,
    ):  # fmt: skip
        self.units, self.claims, self.tracker, self.parent = list(units), claims, tracker, parent
        self.size, self.name = size, name

    def pending(self) -> bool:
        """Whether anything is left, for this worker or another one."""
        self.tracker.refresh()
        self.units = [unit for unit in self.units if not all(map(self.tracker.done, unit))]
        return bool(self.units)

    def __iter__(self) -> Iterator[Chunk[T]]:
        """Claims chunks of what is free and ready now, each when it is asked for."""
        if self.parent:
            self.parent.refresh()
        claimed: list[list[T]] = []
        latest = self.claims.latest()
        for n, unit in enumerate(list(self.units)):
            name = self.name(unit[0])
            if all(map(self.tracker.done, unit)) or (self.parent and not all(map(self.parent.done, unit))):
                continue
            if not self.claims.take(name, latest):
                continue
            if deaths := latest.get(name, 0):
                if items := self._open([unit]):
                    yield Chunk(items, self._failure(name, deaths) if deaths > RETRIES else "")
            else:
                claimed.append(unit)
                if sum(map(len, claimed)) < self.size((len(self.units) - n) * len(unit)):
                    continue
                if items := self._open(claimed):
                    yield Chunk(items)
                claimed = []
            self.tracker.refresh()
            latest = self.claims.latest()
        if items := self._open(claimed):
            yield Chunk(items)

    def _open(self, claimed: Sequence[list[T]]) -> list[T]:
        """The items of claimed units; those that another worker has done meanwhile are released."""
        self.tracker.refresh()
        done = [unit for unit in claimed if all(map(self.tracker.done, unit))]
        for unit in done:
            self.claims.release(self.name(unit[0]))
        return [item for unit in claimed if unit not in done for item in unit]

    def _failure(self, name: str, deaths: int) -> str:
        causes = ", then ".join(dict.fromkeys(self.claims.causes(name, deaths)))
        return f"the worker died {deaths} times at this image: {causes}"

    def release(self, chunk: Chunk[T]) -> None:
        """Release the claims of a chunk whose rows are written."""
        for name in self.claims.held.keys() & {self.name(item) for item in chunk.items}:
            self.claims.release(name)


def chunk_size(largest: int, smallest: int, workers: int) -> Callable[[int], int]:
    """Chunks get smaller towards the end, so that workers end together.

    Args:
        largest: images of a chunk.
        smallest: images that cost as much as one.
        workers: how many share the queue.

    Returns:
        A function from the number of images that are left to those of the next chunk.
    """

    def size(left: int) -> int:
        return largest if workers <= 1 else min(largest, max(smallest, math.ceil(left / (2 * workers))))

    return size


class Worker:
    """This process as one of a run's workers; a context manager."""

    def __init__(self, out: Path, options: WorkerOptions):
        self.out, self.options = out, options
        self.heartbeat, self.monitor = Heartbeat(out, options.name), WorkerMonitor(out)
        self.watchdog = Watchdog(options.timeout, self.heartbeat.record_end)
        self._claims: list[Claims] = []

    def claims(self, key: str) -> Claims:
        self._claims.append(Claims(self.out, key, self.heartbeat, self.monitor))
        return self._claims[-1]

    def work(
        self, jobs: Sequence[tuple[WorkQueue[T], Callable[[Chunk[T]], None]]], tick: Callable[[], None], pause: float
    ) -> int:
        """Process all items of all queues, with the function beside each, which writes their rows.

        Waits for what other workers hold, as they may die.

        Args:
            jobs: queues, parents first.
            tick: called after every chunk.
            pause: seconds between polls.

        Returns:
            The number of items that this worker processed.
        """
        done = 0
        while pending := [job for job in jobs if job[0].pending()]:
            before = done
            for queue, process in pending:
                for chunk in queue:
                    process(chunk)
                    queue.release(chunk)
                    done += len(chunk.items)
                    tick()
            if done == before:
                time.sleep(pause)
        return done

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        for claims in self._claims:
            claims.give_back()
        self.heartbeat.close()
