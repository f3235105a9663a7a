"""Running a suite with several processes: workers that share the images by claims, watched and replaced.

A worker is the same command as the run itself with `--worker NAME`; an executor only says how such a command is started
and how it ended (`benchmarks.engine.executors`). So every executor hands out work in the same way.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import torch
from tqdm.auto import tqdm

from benchmarks.engine.claims import write_ending
from benchmarks.engine.generate import generate, pending, row_files
from benchmarks.engine.run import Run
from benchmarks.engine.runner import ALONE, Resume, Shard, invert, save_before, wanted
from benchmarks.engine.store import RowFiles
from benchmarks.errors import ConfigError, StoppedError
from inversion_bench.registry import Registry

EXECUTORS: Registry[Callable[..., Launcher]] = Registry(
    "executor",
    {name: f"benchmarks.engine.executors.{name}:Launcher" for name in ("local", "submitit", "ray")},
    "inversion_bench.executors",
)
STOPPED = (1, 2, 130)  # exit codes of a worker that decided to stop; another one would decide alike
TRIES = 3  # of a worker that dies without having begun an image


class Job(Protocol):
    """A worker that was started."""

    def ended(self) -> int | str | None:
        """None while it runs, then its exit code, or how it died where there is none."""

    def stop(self) -> None:
        """End it soon, and return when it has ended."""


class Launcher(Protocol):
    """Starts workers. options: what the user says of the engine, as key=value; raises ConfigError for wrong ones."""

    def __init__(self, out: Path, workers: int, threads: int, options: dict[str, str]): ...

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> list[Job]:
        """Start arguments of `python -m benchmarks` each in its slot (0 <= slot < workers)."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Fleet:
    """How a run is spread. workers, threads: 0 for as many as the machine has cores (devices), and for cores divided
    by workers; more than one thread may change results in their last digits. timeout: seconds for an image."""

    executor: str = "local"
    workers: int = 0
    threads: int = 1
    timeout: float = 0.0
    options: dict[str, str] = field(default_factory=dict)


def worker_count(asked: int) -> int:
    """Processes to use: as asked, else one a device on an accelerator, else one a core."""
    from os import cpu_count

    if asked:
        return asked
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    return 1 if torch.backends.mps.is_available() else cpu_count() or 1


def execute(run: Run, suite: str, overrides: list[str], resume: Resume, fleet: Fleet) -> None:
    """Invert, then make what protocols need. Raises StoppedError when it cannot go on; what was done is kept."""
    from os import cpu_count

    missing = sum(len(wanted(run, stage_run, resume, Shard())) for stage_run in run.plan.stage_runs)
    workers = worker_count(fleet.workers or run.plan.suite.workers)
    threads = fleet.threads or max(1, (cpu_count() or 1) // workers)
    alone = fleet.executor == "local" and workers == 1 and not fleet.timeout
    if suite.endswith((".yaml", ".yml")):  # a worker may start in another folder
        suite = str(Path(suite).absolute())
    command = ["run", suite, *overrides, "--out", str(run.out.absolute()), "--threads", str(threads),
               "--workers", str(workers), "--timeout", str(fleet.timeout)]  # fmt: skip
    torch.set_num_threads(threads)
    if alone or not (missing or pending(run)):
        invert(run, resume, Shard(), duty=replace(ALONE, workers=workers))
        generate(run)
        return
    launcher = EXECUTORS.get(fleet.executor)(run.out, workers, threads, fleet.options)
    try:
        if missing:
            before = run.out / "work" / f"before-{uuid.uuid4().hex[:8]}.json"
            save_before(run, resume, before)
            files = [run.store(stage_run).row_files() for stage_run in run.plan.stage_runs]
            inverting = [*command, "--only", "invert", "--before", str(before.absolute())]
            try:
                watch(launcher, [inverting] * min(workers, missing), run.out, files, "inverting", missing)
            finally:
                before.unlink(missing_ok=True)
        # After all inverting: what protocols make may need several inversions.
        count, files = sum(map(len, pending(run).values())), row_files(run)
        watch(launcher, [[*command, "--only", "generate"]] * min(workers, count), run.out, files, "editing", count)
    finally:
        launcher.close()


def watch(
    launcher: Launcher, commands: list[list[str]], out: Path, files: list[RowFiles], doing: str, total: int
) -> None:
    """Run the commands side by side, each until it ends by itself; one that dies is started again."""
    slots = list(range(len(commands)))
    names = {slot: _name(slot) for slot in slots}
    jobs: dict[int, Job] = {}
    idle_deaths = dict.fromkeys(slots, 0)

    def start(which: list[int]) -> None:
        lines = [[*commands[slot], "--worker", names[slot]] for slot in which]
        jobs.update(zip(which, launcher.start(which, lines), strict=True))

    try:
        start(slots)
        with tqdm(total=total, desc=f"{doing} ({len(slots)} workers)", unit="image", disable=not slots) as bar:
            new_rows(files)
            while jobs:
                time.sleep(0.2)
                if found := new_rows(files):
                    bar.update(found)
                for slot, how in [(slot, how) for slot, job in jobs.items() if (how := job.ended()) is not None]:
                    del jobs[slot]
                    if how == 0:
                        continue
                    if how in STOPPED:
                        raise StoppedError(f"worker {slot} ended early (exit {how}); its message is above")
                    write_ending(out / "work" / "workers" / names[slot], f"it ended with {_said(how)}")
                    idle_deaths[slot] = 0 if _held(out, names[slot]) else idle_deaths[slot] + 1
                    if idle_deaths[slot] == TRIES:
                        raise StoppedError(
                            f"worker {slot} died {TRIES} times without beginning an image, last with {_said(how)}"
                        )
                    tqdm.write(f"worker {slot} died with {_said(how)}; started again", file=sys.stderr)
                    names[slot] = _name(slot)
                    start([slot])
    finally:
        for job in jobs.values():
            job.stop()


def _name(slot: int) -> str:
    return f"w{slot}-{uuid.uuid4().hex[:12]}"


def _said(how: int | str) -> str:
    if isinstance(how, str):
        return how
    return f"signal {-how}" if how < 0 else f"exit code {how}"


def _held(out: Path, worker: str) -> bool:
    """Whether a worker has claims: it died at work, and what it died at has one try less."""
    for path in (out / "work" / "claims").glob("*/[!.]*"):
        # Claims come and go under the eyes of whoever looks at them, and a power cut leaves empty ones.
        with suppress(FileNotFoundError, ValueError):
            if json.loads(path.read_text())["worker"] == worker:
                return True
    return False


def new_rows(files: list[RowFiles]) -> int:
    return sum(1 for each in files for _ in each.new_rows())


def options_of(words: Sequence[str]) -> dict[str, str]:
    """key=value words as a dict; raises ConfigError for others."""
    for word in words:
        if "=" not in word:
            raise ConfigError(f"--executor-option {word!r} is not of the form KEY=VALUE")
    return dict(word.split("=", 1) for word in words)
