"""Processes of the fault harness: a run is a fork of tests/forks.py, its workers are forks of the run.

They are killed together, as one process group. No figures are drawn.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.cli import main
from benchmarks.engine.executors import local
from reports import build as report
from tests import forks
from tests.faults.injection import install
from tests.forks import GRACE, Forked

__all__ = ["Forked", "Injury", "start"]


@dataclass(frozen=True)
class Injury:
    """What happens inside a run. kind: of fault_injection; "" for nothing. limit: bytes of a file, 0 for any number."""

    kind: str = ""
    seed: int = 0
    limit: int = 0


def start(command: list[str], log: Path, out: Path, injury: Injury) -> Forked:
    return forks.start(command, partial(_prepare, injury, out.parent), log)


def _prepare(injury: Injury, folder: Path) -> None:
    report.figures.draw = lambda *_: []
    local.Launcher = Launcher  # type: ignore[misc,assignment]
    if injury.limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (injury.limit, injury.limit))
    if injury.kind:
        install(injury.kind, injury.seed, folder)


@dataclass
class Worker:
    """A forked worker as a job; see benchmarks/engine/workers.py."""

    pid: int

    def ended(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self.ended() is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.05)


class Launcher:
    """As the executor `local`, by forks of the run."""

    def __init__(self, out: Path, workers: int, threads: int, options: dict[str, str]):
        """Takes no options."""

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> list[Worker]:
        return [self._one(command) for command in commands]

    def _one(self, command: list[str]) -> Worker:
        sys.stdout.flush()
        sys.stderr.flush()
        if pid := os.fork():
            return Worker(pid)
        code = 1
        try:
            code = main(command)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def close(self) -> None:
        """Nothing is left open."""
