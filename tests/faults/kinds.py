"""The faults of `faults`: each starts a run, injures it, and returns when it has ended.

What a machine does to a run from without (kills, disks, torn files) is done from without; what happens inside it comes
from tests/faults/injection.py. Failed rows are results: where a fault leaves some, `--resume failed` goes on.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from tests.faults.forks import Forked, Injury

DISK_MB = 2  # a disk that is too small for a suite's pictures
PATIENCE = 20.0  # least seconds for an image where one hangs: a busy machine is slow, too


class Run(Protocol):
    """A suite's command. seconds: how long an undisturbed run takes, for moments to be drawn from."""

    @property
    def seconds(self) -> float: ...

    def start(self, out: Path, injury: Injury = ..., *more: str) -> Forked: ...


Inject = Callable[[Run, Path, random.Random], None]


@dataclass(frozen=True)
class Fault:
    """resume: how the run is gone on with."""

    inject: Inject
    resume: Literal["missing", "failed"] = "missing"


def _moment(run: Run, draw: random.Random) -> float:
    return draw.uniform(0.2, 0.9) * run.seconds


def _end(process: Forked, number: int = signal.SIGKILL) -> None:
    """Kill a run with its workers."""
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(process.pid, number)
    process.wait()


def kill(run: Run, out: Path, draw: random.Random) -> None:
    """SIGKILL of the run and its workers, one to three times."""
    for _ in range(draw.randint(1, 3)):
        process = run.start(out)
        time.sleep(_moment(run, draw))
        _end(process)


def kill_worker(run: Run, out: Path, draw: random.Random) -> None:
    """SIGKILL of one worker; the run itself lives on."""
    process = run.start(out)
    time.sleep(_moment(run, draw) / 2)
    children = [int(pid) for pid in _output(["pgrep", "-P", str(process.pid)])]
    if children:
        os.kill(draw.choice(children), signal.SIGKILL)
    process.wait()


def torn_files(run: Run, out: Path, draw: random.Random) -> None:
    """A kill, and then files that are cut or empty, as after a power cut."""
    kill(run, out, draw)
    found = (path for place in ("inversions", "scores", "work") for path in out.glob(f"{place}/**/*"))
    for file in sorted(path for path in found if path.is_file()):
        if draw.random() < 0.3:
            size = file.stat().st_size
            # A line that is whole stays: what a run has said durably is not what a power cut takes.
            keep = _whole_lines(file) if file.suffix == ".jsonl" else draw.randrange(size + 1)
            os.truncate(file, keep)


def _whole_lines(file: Path) -> int:
    return file.read_bytes().rfind(b"\n") + 1


def full_disk(run: Run, out: Path, draw: random.Random) -> None:
    """No space on a small file system, where one can be mounted; else no file may grow beyond some size."""
    if _can_mount():
        with _mounted(out, f"size={DISK_MB}m"):
            run.start(out).wait()
            shutil.copytree(out, out.with_name("saved"), dirs_exist_ok=True)
        _restore(out)
    else:
        run.start(out, Injury(limit=draw.choice([200, 5_000, 50_000]))).wait()


def read_only(run: Run, out: Path, draw: random.Random) -> None:
    """The file system becomes read-only in the middle of a run."""
    with _mounted(out, "size=500m"):
        process = run.start(out)
        time.sleep(_moment(run, draw) / 2)
        subprocess.run(["mount", "-o", "remount,ro", str(out)], check=False, capture_output=True)
        process.wait()
        shutil.copytree(out, out.with_name("saved"), dirs_exist_ok=True)
    _restore(out)


def two_runs(run: Run, out: Path, draw: random.Random) -> None:
    """Two runs in one folder at once, of which one is killed."""
    first = run.start(out)
    time.sleep(draw.uniform(0, 0.3) * run.seconds)
    second = run.start(out)
    time.sleep(_moment(run, draw) / 2)
    _end(draw.choice([first, second]))
    first.wait()
    second.wait()


def inside(kind: str, run: Run, out: Path, draw: random.Random) -> None:
    """Something that goes wrong inside the run, which ends by itself."""
    run.start(out, Injury(kind, draw.randrange(10**6))).wait()


def hang(run: Run, out: Path, draw: random.Random) -> None:
    """An image that never ends, under a limit of time for an image."""
    limit = max(PATIENCE, run.seconds)
    run.start(out, Injury("hang", draw.randrange(10**6)), "--timeout", str(limit)).wait()


def clock_jumps(run: Run, out: Path, draw: random.Random) -> None:
    """A clock that jumps while the run goes on; a kill; and files that say that they were written at other times."""
    process = run.start(out, Injury("clock", draw.randrange(10**6)))
    time.sleep(_moment(run, draw))
    _end(process)
    for path in sorted(out.glob("**/*")):
        if path.is_file() and draw.random() < 0.5:
            then = draw.randrange(10**9, 2 * 10**9)
            os.utime(path, (then, then))


FAULTS = {
    "kill": Fault(kill),
    "kill_worker": Fault(kill_worker),
    "torn_files": Fault(torn_files),
    "full_disk": Fault(full_disk),
    "read_only": Fault(read_only),
    "two_runs": Fault(two_runs),
    "out_of_memory": Fault(partial(inside, "out_of_memory"), "failed"),
    "memory_limit": Fault(partial(inside, "memory_limit"), "failed"),
    "nan_loss": Fault(partial(inside, "nan_loss"), "failed"),
    "hang": Fault(hang),
    "clock_jumps": Fault(clock_jumps),
}


def usable() -> Iterator[str]:
    """Faults that can be had here; `kill` twice, as it is the most common."""
    for name in ("kill", *FAULTS):
        if name != "read_only" or _can_mount():
            yield name


def _can_mount() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def _mounted(out: Path, options: str) -> Iterator[None]:
    out.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)


def _restore(out: Path) -> None:
    """What the mounted folder held, in its place."""
    saved = out.with_name("saved")
    shutil.rmtree(out)
    shutil.move(saved, out)


def _output(command: list[str]) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
