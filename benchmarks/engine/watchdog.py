"""A limit of time for images: a process that exceeds it ends itself, as nothing else ends a hanging kernel."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TIMEOUT_EXIT = 75  # exit code of a process that exceeded the limit


class Watchdog:
    """Ends this process when images take too long.

    Args:
        seconds: for an image; 0 for no limit.
        report: called with the cause before the process ends.
    """

    def __init__(self, seconds: float, report: Callable[[str], None]):
        self.seconds, self.report = seconds, report

    @contextmanager
    def watching(self, images: int) -> Iterator[None]:
        """Limits the block to the time for so many images."""
        limit = self.seconds * images
        if not limit:
            yield
            return
        timer = threading.Timer(limit, self._end, [limit])
        timer.daemon = True
        timer.start()
        # For code that hangs while it holds the GIL; this also prints where.
        faulthandler.dump_traceback_later(limit + 10, exit=True)
        try:
            yield
        finally:
            timer.cancel()
            faulthandler.cancel_dump_traceback_later()

    def _end(self, limit: float) -> None:
        self.report(f"no result within {limit:g} s")
        os._exit(TIMEOUT_EXIT)
