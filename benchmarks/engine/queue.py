"""Dealing work: hands of images, claimed one by one as a worker asks for them, so that nobody idles or works twice.

A worker goes through the stage runs in order and takes what is free and ready. What others hold, and what waits for the
stage before, it comes back to. An image at which a worker died is tried again alone, so that the next death is surely
its own, and after RETRIES more deaths it is a failed row.
"""

from __future__ import annotations

import faulthandler
import math
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.engine.claims import RETRIES, Claims
from benchmarks.engine.plan import StageRun
from benchmarks.engine.store import RowFiles

HUNG = 75  # exit code of a worker that took too long at an image


class Attempts:
    """The number of attempts at each image of a stage run, kept up to date by reading only what is new."""

    def __init__(self, files: RowFiles):
        self.files = files
        self.count: dict[str, int] = {}

    def refresh(self) -> dict[str, int]:
        for row in self.files.new_rows():
            self.count[row["image"]] = max(self.count.get(row["image"], 0), row["attempt"])
        return self.count


@dataclass(frozen=True)
class Hand:
    """What a worker does next: images of one stage run, or the reasons why some will not be tried again."""

    images: list[str]
    failures: dict[str, str] = field(default_factory=dict)


@dataclass
class Work:
    """The images of a stage run that are to be inverted. before: attempts at each when the run began."""

    stage_run: StageRun
    units: list[list[str]]
    before: dict[str, int]
    attempts: Attempts
    claims: Claims
    parent: Work | None = None

    def settled(self, image: str) -> bool:
        return self.attempts.count.get(image, 0) > self.before.get(image, -1)

    def left(self) -> bool:
        self.attempts.refresh()
        self.units = [unit for unit in self.units if not all(map(self.settled, unit))]
        return bool(self.units)

    def hands(self, size: Callable[[int], int]) -> Iterator[Hand]:
        """One pass. size: images of a hand from the number of those that are left."""
        if self.parent:
            self.parent.attempts.refresh()
        hand: list[str] = []
        claimed = self.claims.standing()
        # A hand is claimed only when it is asked for, and what peers have done meanwhile is not tried.
        for n, unit in enumerate(list(self.units)):
            if all(map(self.settled, unit)) or (self.parent and not all(map(self.parent.settled, unit))):
                continue
            if not self.claims.take(unit[0], claimed):
                continue
            self.attempts.refresh()
            if all(map(self.settled, unit)):
                self.claims.release(unit[0])
                continue
            deaths = claimed.get(unit[0], 0)
            if deaths > RETRIES:
                yield Hand([], dict.fromkeys(unit, self._quarantine(unit[0], deaths)))
            elif deaths:
                yield Hand(unit)
            else:
                hand += unit
                if len(hand) < size((len(self.units) - n) * len(unit)):
                    continue
                yield Hand(hand)
                hand = []
            self.attempts.refresh()
            claimed = self.claims.standing()
        if hand:
            yield Hand(hand)

    def _quarantine(self, unit: str, deaths: int) -> str:
        ways = ", then ".join(dict.fromkeys(self.claims.endings(unit, deaths)))
        return f"the worker died {deaths} times at this image: {ways}; --resume failed tries it again"

    def done(self, images: list[str]) -> None:
        """The images' rows are written."""
        named = set(images)
        for unit in [held for held in self.claims.held if held in named]:
            self.claims.release(unit)


def hand_size(most: int, together: int, workers: int) -> Callable[[int], int]:
    """Hands get smaller towards the end, so that workers end together; not below what costs as much as one image."""

    def size(left: int) -> int:
        if workers <= 1:
            return most
        return min(most, max(together, math.ceil(left / (2 * workers))))

    return size


class Watchdog:
    """Ends this process when an image takes longer than `seconds` (0: never), saying so first."""

    def __init__(self, seconds: float, say: Callable[[str], None]):
        self.seconds, self.say = seconds, say
        self._timer: threading.Timer | None = None

    def start(self, images: int) -> None:
        self.stop()
        if self.seconds and images:
            limit = self.seconds * images
            self._timer = threading.Timer(limit, self._bite, [limit])
            self._timer.daemon = True
            self._timer.start()
            # For code that hangs with Python's lock in its hands; it also says where.
            faulthandler.dump_traceback_later(limit + 10, exit=True)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
            faulthandler.cancel_dump_traceback_later()

    def _bite(self, limit: float) -> None:
        self.say(f"no result within {limit:g} s")
        os._exit(HUNG)
