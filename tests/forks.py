"""Runs and workers as forks of a server that has loaded everything: a fork takes 0.1 s, a fresh Python over 10 s.

They are processes of their own, which live, die and are killed as such; only their start is a fork. The server runs
nothing itself, so that no threads and no locks are forked. What a fork cannot show, an import that a fresh process
lacks, the tests of real workers show: test_out_of_tree.py, and those of submitit and Ray.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cli import main
from benchmarks.engine import export, workers
from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.protocols import locality, occlusion
from methods.optimization import stage as optimization
from methods.tuning import stage as tuning
from metrics import identity
from reports import build as report

GRACE = 30.0  # seconds to end by itself
# Loaded for the forks, as commands import them when they run.
LOADED = export, workers, locality, occlusion, optimization, tuning, identity, report
torch.set_num_threads(1)


@dataclass
class Forked:
    """A process in a group of its own; also a job as benchmarks/engine/workers.py has them."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def ended(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int:
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def start(command: Sequence[str], prepare: Callable[[], object] | None = None, log: Path | None = None) -> Forked:
    """`python -m benchmarks COMMAND`, forked, with this process's environment.

    Args:
        command: the arguments.
        prepare: what the process calls first, importable by its name.
        log: a file for what the process prints; by default this process's own streams.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_run, args=(list(command), prepare, log, dict(os.environ)))
    process.start()
    return Forked(process)


def _run(
    command: list[str], prepare: Callable[[], object] | None, log: Path | None, environment: Mapping[str, str]
) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    if log:
        with log.open("ab") as handle:
            for number in (1, 2):
                os.dup2(handle.fileno(), number)
    keep_freed_memory()
    if prepare:
        prepare()
    sys.exit(main(command))


class Launcher:
    """Starts workers as forks, in place of the executor `local`."""

    def __init__(self, *_: Any, prepare: Callable[[], object] | None = None):
        self.prepare = prepare

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> list[Forked]:
        return [start(command, self.prepare) for command in commands]

    def close(self) -> None:
        """Nothing is left open."""


def use(patch: pytest.MonkeyPatch, prepare: Callable[[], object] | None = None) -> None:
    """Let the executor `local` fork its workers. prepare: what each of them calls first."""
    patch.setattr("benchmarks.engine.executors.local.Launcher", partial(Launcher, prepare=prepare))
