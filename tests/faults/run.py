"""`faults`: disturb runs of a suite at random, resume them, and compare their tables with an undisturbed run's.

Every round draws a fault and a moment from the round's number, runs the suite as a process of its own, injures it, runs
the same command again until it ends by itself, and compares: the bytes of the tables, rows lost, rows doubled.
tests/faults/kinds.py has the faults.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.errors import ConfigError
from tests.faults.forks import Forked, Injury, start
from tests.faults.kinds import FAULTS, usable

TABLES = ("tables.md", "tables.tex", "tables.csv")
KEY = ["suite", "method", "dataset", "image", "protocol", "metric"]
RESUMES = 4  # runs after the injured one; a run that a fault left half done needs one


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


WELL = Injury()


@dataclass(frozen=True)
class Run:
    """The suite's command. seconds: how long an undisturbed run takes, for moments to be drawn from."""

    suite: str
    overrides: list[str]
    seconds: float = 10.0

    def start(self, out: Path, injury: Injury = WELL, *more: str) -> Forked:
        """Its process. more: further options."""
        command = ["run", self.suite, *self.overrides, *more, "--out", str(out)]
        return start(command, out.with_name(f"{out.name}.log"), out, injury)

    def finish(self, out: Path, *more: str) -> int:
        """Run until it ends by itself with its tables written; returns the number of runs. Raises RuntimeError."""
        for count in range(1, RESUMES + 1):
            if self.start(out, WELL, *more).wait() in (0, 1) and (out / "report" / TABLES[0]).exists():
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
    kinds = list(usable())
    for number in range(rounds):
        fault = kinds[number % len(kinds)]
        disturbed = out / "disturbed"
        shutil.rmtree(disturbed, ignore_errors=True)
        (out / "hung").unlink(missing_ok=True)
        FAULTS[fault].inject(run, disturbed, random.Random(number))
        # The tables of the injured run, where it got that far, are no proof.
        shutil.rmtree(disturbed / "report", ignore_errors=True)
        runs = run.finish(disturbed, "--resume", FAULTS[fault].resume)
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
