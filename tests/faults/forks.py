"""Processes of `faults`: forks of one that has loaded everything, as loading costs many times what a small suite does.

A run and its workers live, die and are killed as processes of their own; only their start is a fork, and no figures are
drawn. The server that is forked runs nothing itself, so that no threads and no locks are forked.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

from benchmarks.cli import main
from benchmarks.cli import suite as commands
from benchmarks.engine import workers as executors
from benchmarks.engine.allocator import keep_freed_memory
from reports import build as report
from tests.faults.injection import install

GRACE = 30.0  # seconds to end by itself
assert commands and report  # loaded for the forks
torch.set_num_threads(1)


@dataclass(frozen=True)
class Injury:
    """What happens inside a run. kind: of fault_injection; "" for nothing. limit: bytes of a file, 0 for any number."""

    kind: str = ""
    seed: int = 0
    limit: int = 0


@dataclass
class Forked:
    """A run's process, a group of its own."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self) -> int:
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode


def start(command: list[str], log: Path, out: Path, injury: Injury) -> Forked:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.forks"])
    process = context.Process(target=_run, args=(command, log, out, injury))
    process.start()
    return Forked(process)


def _run(command: list[str], log: Path, out: Path, injury: Injury) -> None:
    os.setsid()
    with log.open("ab") as handle:
        for number in (1, 2):
            os.dup2(handle.fileno(), number)
    keep_freed_memory()
    report.figures.draw = lambda *_: []
    executors.EXECUTORS["local"] = "tests.faults.forks:Launcher"
    if injury.limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (injury.limit, injury.limit))
    if injury.kind:
        install(injury.kind, injury.seed, out.parent)
    sys.exit(main(command))


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
    """As executor_local, by forks of the run."""

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
