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

from benchmarks import editing
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
    """Invert, then edit what is missing. Raises StoppedError when a worker dies; its rows so far are kept."""
    whole = Shard()
    missing = {cell.key: len(wanted(cell, plan, out, resume, whole)) for cell in plan.cells}
    command = [sys.executable, "-m", "benchmarks", "run", suite, *overrides, "--out", str(out)]
    workers = min(worker_count(plan.suite.workers), max(missing.values()))
    if workers == 1:
        torch.set_num_threads(1)  # results must not depend on the number of cores
        invert(plan, out, resume, whole)
    elif workers:
        folders = [CellStore(out, cell.key).folder for cell in plan.cells]
        arguments = [*command, "--resume", resume, "--only", "invert"]
        _side_by_side(arguments, workers, folders, "inverting", sum(missing.values()))
    # After all inverting: a line leads from one image to another.
    left = editing.missing(plan, out)
    workers = min(worker_count(plan.suite.workers), max(left.values(), default=0))
    if workers == 1:
        editing.edit(plan, out)
    elif workers:
        folders = [editing.EditStore(out, key).folder for key in left]
        _side_by_side([*command, "--only", "edit"], workers, folders, "editing", sum(left.values()))


def _side_by_side(command: list[str], workers: int, folders: list[Path], doing: str, total: int) -> None:
    """A process for each shard; progress by the rows that appear in the folders."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    processes = [subprocess.Popen([*command, "--shard", f"{i}/{workers}"], env=environment) for i in range(workers)]
    try:
        with tqdm(total=total, desc=f"{doing} ({workers} workers)", unit="image") as bar:
            before = _rows_written(folders)
            while any(process.poll() is None for process in processes):
                time.sleep(1)
                bar.update(_rows_written(folders) - before - bar.n)
            bar.update(_rows_written(folders) - before - bar.n)
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


def _rows_written(folders: list[Path]) -> int:
    return sum(f.read_bytes().count(b"\n") for folder in folders for f in folder.glob("rows-*.jsonl"))
