"""What executors have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from inversion_bench.registry import Registry

ROOT = Path(__file__).parents[3]


class Job(Protocol):
    """A worker that was started."""

    def ended(self) -> int | str | None:
        """None while it runs, then its exit code, or how it died where there is none."""

    def stop(self) -> None:
        """End it soon, and return when it has ended."""


class Launcher(Protocol):
    """Starts workers. A class of one's own is named as `package.module:Name`.

    Args:
        out: the folder of the run.
        workers: how many slots there are.
        threads: of a worker.
        options: of the executor, as key=value words. Raises ConfigError for wrong ones.
    """

    def __init__(self, out: Path, workers: int, threads: int, options: dict[str, str]): ...

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> Sequence[Job]:
        """Start arguments of `python -m benchmarks` each in its slot (0 <= slot < workers)."""

    def close(self) -> None: ...


EXECUTORS: Registry[type[Launcher]] = Registry(
    "executor",
    {name: f"benchmarks.engine.executors.{name}:Launcher" for name in ("local", "submitit", "ray")},
    "inversion_bench.executors",
)


def work(command: list[str]) -> int:
    """Run one worker in this process, which a cluster has started; returns its exit code."""
    from benchmarks.cli import main
    from benchmarks.engine.allocator import keep_freed_memory

    keep_freed_memory()
    return main(command)
