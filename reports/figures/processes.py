"""Drawing by as many processes as there are cores: figures are most of a report's time."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

MOST = 8  # processes
Result = TypeVar("Result")
_jobs: Sequence[Callable[[], object]] = ()  # what the forks of this process find


def side_by_side(jobs: Sequence[Callable[[], Result]]) -> list[Result]:
    """What jobs return, in their order, each carried out in a fork of this process where there are cores for forks.

    Forks, as a new Python would take longer to start than it saves, and would run the user's script again. Jobs may
    write files and have to return something that can be pickled.
    """
    global _jobs
    workers = min(MOST, len(jobs), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    if workers < 2:
        return [job() for job in jobs]
    _jobs = jobs
    ignore = (signal.SIGINT, signal.SIG_IGN)  # what interrupts the report ends it, and the pool with it
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), signal.signal, ignore) as pool:
        return list(pool.map(_carry_out, range(len(jobs))))


def _carry_out(number: int) -> Any:
    return _jobs[number]()
