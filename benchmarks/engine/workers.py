"""Running a suite with several processes: workers that share the images by claims, supervised and replaced.

A worker is the same command as the run itself with `--worker NAME`; an executor only says how such a command is started
and how it ended (`benchmarks.engine.executors`). So every executor hands out work in the same way.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine import generate, runner
from benchmarks.engine.claims import record_end, worker_name
from benchmarks.engine.executors.base import EXECUTORS, Job, Launcher
from benchmarks.engine.machine import pick_device
from benchmarks.engine.progress import Part, Progress
from benchmarks.engine.run import Run
from benchmarks.engine.store import RowFiles
from benchmarks.engine.types import Resume, WorkerOptions
from benchmarks.errors import ConfigError, StoppedError

STOPPED = (1, 2, 130)  # exit codes of a worker that decided to stop; another one would decide alike
CONFIGURATION = 2  # of these: settings or weights do not fit
TRIES = 3  # of a worker that dies without having begun an image

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fleet:
    """How a run is spread.

    Args:
        executor: what starts the workers.
        workers: 0 for one a device, or one a core without devices.
        threads: of a worker; 0 for cores divided by workers. More than one may change results in their last digits.
        timeout: seconds for an image; 0 for no limit.
        options: of the executor.
        debug: raise the first error instead of recording it.
    """

    executor: str = "local"
    workers: int = 0
    threads: int = 1
    timeout: float = 0.0
    options: dict[str, str] = field(default_factory=dict)
    debug: bool = False


def worker_count(number: int, device: torch.device | None = None) -> int:
    """Processes to use: the number, or for 0 one for each device of an accelerator, or for each core of a CPU."""
    if number:
        return number
    name = str(device or pick_device())
    return {"cuda": torch.cuda.device_count(), "cpu": os.cpu_count() or 1}.get(name, 1)


def execute(
    run: Run, suite: str, overrides: list[str], resume: Resume, fleet: Fleet, progress: Progress | None = None
) -> None:
    """Invert, then make what protocols need.

    Args:
        run: the run.
        suite: its suite, a name or a file.
        overrides: the suite's settings as key=value.
        resume: which images to invert.
        fleet: the workers.
        progress: shows how far the run is.

    Raises:
        StoppedError: the run cannot go on; what was done is kept.
        ConfigError: settings or weights do not fit.
    """
    progress = progress or Progress(run, early=False)
    pending = {stage_run.key: len(runner.pending(run, stage_run, resume)) for stage_run in run.plan.stage_runs}
    missing = sum(pending.values())
    rows = {stage_run.key: run.store(stage_run).row_files() for stage_run in run.plan.stage_runs}
    workers = worker_count(fleet.workers or run.plan.suite.workers, run.device)
    threads = fleet.threads or max(1, (os.cpu_count() or 1) // workers)
    torch.set_num_threads(threads)
    alone = fleet.executor == "local" and workers == 1 and not fleet.timeout
    if alone or not (missing or generate.pending(run)):
        options = WorkerOptions(workers=workers, debug=fleet.debug)
        if missing:
            progress.begin("inverting", progress.inverting(pending), rows)
        runner.invert(run, resume, tick=progress.tick, options=options)
        if parts := generate.pending(run):
            progress.begin("editing", *editing(run, parts))
        generate.generate(run, tick=progress.tick, options=options)
        progress.end()
        return
    suite = str(Path(suite).resolve()) if Path(suite).is_file() else suite
    command = ["run", suite, *overrides, "--out", str(run.out.absolute()), "--device", str(run.device),
               "--threads", str(threads), "--workers", str(workers), "--timeout", str(fleet.timeout),
               *["--debug"] * fleet.debug]  # fmt: skip
    launcher = EXECUTORS.get(fleet.executor)(run.out, workers, threads, fleet.options)
    try:
        if missing:
            planned = run.out / "work" / f"planned-{uuid.uuid4().hex[:8]}.json"
            runner.save_planned(run, resume, planned)
            inverting = [*command, "--phase", "invert", "--planned", str(planned.absolute())]
            workers = min(workers, missing)
            progress.begin("inverting", progress.inverting(pending), rows, workers)
            try:
                supervise(launcher, [inverting] * workers, run.out, progress.tick)
            finally:
                planned.unlink(missing_ok=True)
        # After all inverting: what protocols make may need several inversions.
        if parts := generate.pending(run):
            workers = min(worker_count(fleet.workers or run.plan.suite.workers, run.device),
                          sum(map(len, parts.values())))  # fmt: skip
            progress.begin("editing", *editing(run, parts), workers)
            supervise(launcher, [[*command, "--phase", "generate"]] * workers, run.out, progress.tick)
            progress.end()
    finally:
        launcher.close()


def editing(run: Run, pending: Mapping[generate.Part, list[Any]]) -> tuple[dict[str, Part], dict[str, RowFiles]]:
    """Of the images that protocols make: the parts of the phase, and where their rows appear."""
    parts, files = {}, {}
    for (protocol, stage_run), tasks in pending.items():
        key = f"{protocol.name} {stage_run.key}"
        names = run.plan.methods_of(stage_run.key)
        parts[key] = Part(f"{protocol.name} of {', '.join(names)}", stage_run.dataset, len(tasks))
        files[key] = protocol.row_files(run, stage_run)
    return parts, files


def supervise(launcher: Launcher, commands: list[list[str]], out: Path, tick: Callable[[], None]) -> None:
    """Run commands side by side, each until it ends by itself; one that dies is started again.

    Args:
        launcher: starts them.
        commands: arguments of `python -m benchmarks`, one for each slot.
        out: the folder of the run.
        tick: called several times a second.

    Raises:
        StoppedError: a worker decided to stop, or dies without beginning an image.
        ConfigError: a worker found settings or weights that do not fit.
    """
    names = [worker_name(slot) for slot in range(len(commands))]
    idle_deaths = [0] * len(commands)
    jobs: dict[int, Job] = {}

    def start(slots: Sequence[int]) -> None:
        started = launcher.start(slots, [[*commands[slot], "--worker", names[slot]] for slot in slots])
        jobs.update(zip(slots, started, strict=True))

    try:
        start(range(len(commands)))
        while jobs:
            time.sleep(0.2)
            tick()
            for slot, end in [(slot, end) for slot, job in jobs.items() if (end := job.ended()) is not None]:
                del jobs[slot]
                if end == 0:
                    continue
                if end == CONFIGURATION:
                    raise ConfigError(f"settings or weights do not fit; the message of worker {slot} is above")
                if end in STOPPED:
                    raise StoppedError(f"worker {slot} ended early (exit {end}); its message is above")
                cause = _cause(end)
                record_end(out / "work" / "workers" / names[slot], f"it ended with {cause}")
                idle_deaths[slot] = 0 if _has_claims(out, names[slot]) else idle_deaths[slot] + 1
                if idle_deaths[slot] == TRIES:
                    raise StoppedError(
                        f"worker {slot} died {TRIES} times without beginning an image, last with {cause}"
                    )
                logger.warning("worker %d died with %s; started again", slot, cause)
                names[slot] = worker_name(slot)
                start([slot])
    finally:
        for job in jobs.values():
            job.stop()


def _cause(end: int | str) -> str:
    if isinstance(end, str):
        return end
    return f"signal {-end}" if end < 0 else f"exit code {end}"


def _has_claims(out: Path, worker: str) -> bool:
    """Whether a worker died at work; then the images that it died at have one try less."""
    for path in (out / "work" / "claims").glob("*/[!.]*"):
        # Claims come and go at any time, and a power cut leaves empty ones.
        with suppress(FileNotFoundError, ValueError):
            if json.loads(path.read_text())["worker"] == worker:
                return True
    return False


def options_of(words: Sequence[str]) -> dict[str, str]:
    """key=value words as a dict; raises ConfigError for others."""
    for word in words:
        if "=" not in word:
            raise ConfigError(f"--executor-option {word!r} is not of the form KEY=VALUE")
    return dict(word.split("=", 1) for word in words)
