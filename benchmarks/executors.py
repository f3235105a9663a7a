"""Running the shards of a suite side by side on one machine: a process each, one thread each on a CPU.

A worker is the same command with `--shard i/n`, so any other engine (a cluster's job array, several machines on a
shared folder) can start the shards instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm

from benchmarks.errors import StoppedError
from benchmarks.plan import Plan
from benchmarks.runner import Resume, Shard, invert, wanted
from benchmarks.store import CellStore


def worker_count(asked: int) -> int:
    """Processes to use: as asked, else one in all on an accelerator, else one a core."""
    if asked:
        return asked
    return 1 if torch.cuda.is_available() or torch.backends.mps.is_available() else os.cpu_count() or 1


def run_local(plan: Plan, out: Path, suite: str, overrides: list[str], resume: Resume) -> None:
    """Invert everything that is missing. Raises StoppedError when a worker dies; its rows so far are kept."""
    whole = Shard()
    missing = {cell.key: len(wanted(cell, plan, out, resume, whole)) for cell in plan.cells}
    total = sum(missing.values())
    if not total:
        return
    workers = min(worker_count(plan.suite.workers), max(missing.values()))
    if workers == 1:
        torch.set_num_threads(1)  # results must not depend on the number of cores
        invert(plan, out, resume, whole)
        return
    command = [sys.executable, "-m", "benchmarks", "run", suite, *overrides, "--out", str(out), "--resume", resume]
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    processes = [
        subprocess.Popen([*command, "--shard", f"{i}/{workers}", "--only", "invert"], env=environment)
        for i in range(workers)
    ]
    try:
        with tqdm(total=total, desc=f"inverting ({workers} workers)", unit="image") as bar:
            before = _rows_written(plan, out)
            while any(process.poll() is None for process in processes):
                time.sleep(1)
                bar.update(_rows_written(plan, out) - before - bar.n)
            bar.update(_rows_written(plan, out) - before - bar.n)
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.wait()
    broken = [i for i, process in enumerate(processes) if process.returncode]
    if broken:
        codes = ", ".join(f"{i} (exit {processes[i].returncode})" for i in broken)
        raise StoppedError(f"workers ended early: {codes}; their messages are above")


def _rows_written(plan: Plan, out: Path) -> int:
    files = (f for cell in plan.cells for f in CellStore(out, cell.key).folder.glob("rows-*.jsonl"))
    return sum(f.read_bytes().count(b"\n") for f in files)
