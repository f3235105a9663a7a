"""`faults`: disturb runs of a suite at random, resume them, and compare their tables with an undisturbed run's.

Every round draws a fault and a moment from the round's number, runs the suite as a process of its own, injures it, runs
the same command again until it ends by itself, and compares: the bytes of the tables, rows lost, rows doubled.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.errors import ConfigError

TABLES = ("tables.md", "tables.tex", "tables.csv")
KEY = ["suite", "method", "dataset", "image", "protocol", "metric"]
RESUMES = 4  # runs after the injured one; a run that a fault left half done needs one
DISK_MB = 2  # a disk that is too small for a suite's pictures


@dataclass(frozen=True)
class Outcome:
    """One round. lost, doubled: rows against the undisturbed run; equal: all tables byte by byte."""

    fault: str
    lost: int
    doubled: int
    equal: bool
    runs: int

    @property
    def good(self) -> bool:
        return self.equal and not self.lost and not self.doubled


@dataclass(frozen=True)
class Run:
    """The suite's command. seconds: how long an undisturbed run takes, for moments to be drawn from."""

    suite: str
    overrides: list[str]
    seconds: float = 10.0

    def start(self, out: Path, limit: int = 0) -> subprocess.Popen[bytes]:
        """Its process, a group of its own. limit: bytes that a file may have, 0 for any number."""
        command = [sys.executable, "-m", "benchmarks", "run", self.suite, *self.overrides, "--out", str(out)]
        with (out.parent / f"{out.name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None,
            )  # fmt: skip

    def finish(self, out: Path) -> int:
        """Run until it ends by itself with its tables written; returns the number of runs. Raises RuntimeError."""
        for count in range(1, RESUMES + 1):
            if self.start(out).wait() in (0, 1) and (out / "report" / TABLES[0]).exists():
                return count
        raise RuntimeError(f"{out}: {RESUMES} runs after the fault did not finish; see {out}.log")


def inject_faults(suite: str, overrides: list[str], rounds: int, out: Path) -> int:
    """Print a line a round and the sums; 0 when every round ended with the undisturbed run's tables, else 1."""
    if rounds < 1:
        raise ConfigError(f"--rounds is {rounds}, expected at least 1")
    out.mkdir(parents=True, exist_ok=True)
    whole, run = out / "undisturbed", Run(suite, overrides)
    start = time.monotonic()
    if not (whole / "report" / TABLES[0]).exists() and run.finish(whole) != 1:
        raise ConfigError(f"the undisturbed run failed; see {whole}.log")
    run = Run(suite, overrides, max(5.0, time.monotonic() - start))
    outcomes: list[Outcome] = []
    kinds = list(_usable())
    for number in range(rounds):
        fault = kinds[number % len(kinds)]
        disturbed = out / "disturbed"
        shutil.rmtree(disturbed, ignore_errors=True)
        FAULTS[fault](run, disturbed, random.Random(number))
        runs = run.finish(disturbed)
        outcome = _compare(fault, whole, disturbed, runs)
        outcomes.append(outcome)
        print(f"{number + 1:4} {fault:12} lost {outcome.lost} doubled {outcome.doubled} "
              f"tables {'equal' if outcome.equal else 'DIFFER'} after {runs} more runs", flush=True)  # fmt: skip
        if not outcome.good:
            kept = out / f"bad-{number + 1}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(disturbed, kept)
            print(f"     kept in {kept}")
    counts = Counter(outcome.fault for outcome in outcomes)
    print(f"{rounds} rounds ({', '.join(f'{n} {fault}' for fault, n in counts.items())}): rows lost "
          f"{sum(o.lost for o in outcomes)}, doubled {sum(o.doubled for o in outcomes)}, tables equal in "
          f"{sum(o.equal for o in outcomes)}")  # fmt: skip
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _compare(fault: str, whole: Path, disturbed: Path, runs: int) -> Outcome:
    wanted, found = (pd.read_parquet(folder / "results.parquet")[KEY] for folder in (whole, disturbed))
    lost = len(wanted) - len(wanted.merge(found.drop_duplicates(), on=KEY))
    equal = all((whole / "report" / name).read_bytes() == (disturbed / "report" / name).read_bytes() for name in TABLES)
    return Outcome(fault, lost, int(found.duplicated().sum()), equal, runs)


def _moment(run: Run, draw: random.Random) -> float:
    return draw.uniform(0.2, 0.9) * run.seconds


def _end(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
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
    for file in sorted(path for path in out.glob("cells/*/*") if path.is_file()):
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
        run.start(out, limit=draw.choice([200, 5_000, 50_000])).wait()


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


FAULTS: dict[str, Callable[[Run, Path, random.Random], None]] = {
    "kill": kill,
    "kill_worker": kill_worker,
    "torn_files": torn_files,
    "full_disk": full_disk,
    "read_only": read_only,
    "two_runs": two_runs,
}


def _usable() -> Iterator[str]:
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
