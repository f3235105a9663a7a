"""Processes in one folder, by every executor: nothing twice, the dead replaced, what kills workers put aside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.cli import main
from benchmarks.engine import queue
from methods.optimization.stage import WOptimization
from tests import forks
from tests.integration import fake_slurm
from tests.integration.tiny_suite import INVERTED, quick_report, reference, rows, suite, tables, world

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = pytest.mark.assets
ROOT = Path(__file__).parents[2]


def poison(how: str, retries: int) -> None:
    """Let one image kill its process or never end, in a forked worker."""
    queue.RETRIES = retries
    invert = WOptimization.invert

    def poisoned(self, images, ids, init=None):
        if "folder/p1" in ids:
            os.kill(os.getpid(), signal.SIGKILL) if how == "kill" else time.sleep(1000)
        return invert(self, images, ids, init)

    WOptimization.invert = poisoned


def doubled(out: Path) -> list[tuple[str, str]]:
    """Images of stage runs that have more than one row."""
    count: Counter[tuple[str, str]] = Counter()
    for path in out.glob("inversions/*/rows-*.jsonl"):
        count.update((path.parent.name, json.loads(line)["image"]) for line in path.read_bytes().splitlines())
    return [each for each, n in count.items() if n > 1]


@pytest.mark.parametrize(
    ("how", "said", "retries", "options"),
    [
        ("kill", "it ended with signal 9", 1, []),
        # The limit is of a batch's images, and of seconds: a busy machine exceeds it.
        pytest.param("hang", "no result within", 1, ["--timeout", "4", "batch_size=1"], marks=pytest.mark.slow),
    ],
)
def test_image_that_ends_workers_is_put_aside(how, said, retries, options, suite, tmp_path, monkeypatch, reference):
    out = tmp_path / "out"
    arguments = ["run", suite, "--out", str(out)]
    with monkeypatch.context() as patch:
        forks.use(patch, partial(poison, how, retries))
        assert main([*arguments, "--workers", "2", *options]) == 1
    frame = pd.read_parquet(out / "results.parquet")
    failed = frame[frame["status"].isin(["failed", "blocked"])]
    assert set(failed["image"]) == {"p1"} and set(failed["method"]) == {"sg2_w", "pti"}
    assert failed["reason"].str.contains(f"the worker died {retries + 1} times at this image: {said}").all()
    assert rows(out) == INVERTED and not doubled(out)
    assert main([*arguments, "--resume", "failed"]) == 0 and tables(out) == tables(reference)


def test_workers_side_by_side(suite, tmp_path, reference, monkeypatch):
    """By forks; test_out_of_tree.py starts fresh processes."""
    forks.use(monkeypatch)
    assert main(["run", suite, "workers=2", "--out", str(tmp_path)]) == 0
    assert tables(tmp_path) == tables(reference)
    files = list(tmp_path.glob("inversions/*/rows-*.jsonl"))
    # A worker that comes late to a stage run may find nothing left in it.
    assert 3 <= len(files) <= 2 * 3


def test_killed_run_resumes(suite, tmp_path, reference, capsys):
    process = forks.start(["run", suite, "batch_size=1", "--out", str(tmp_path)])
    deadline = time.monotonic() + 120
    while not rows(tmp_path) and process.ended() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < rows(tmp_path) < INVERTED
    assert main(["status", suite, "--out", str(tmp_path)]) == 0
    assert "not running; the same `run` resumes it" in capsys.readouterr().out
    assert main(["run", suite, "--out", str(tmp_path)]) == 0
    assert tables(tmp_path) == tables(reference)


def test_weights_that_do_not_fit_are_a_wrong_setting(suite, tmp_path, monkeypatch):
    state = {"encoder.input_layer.0.weight": torch.zeros(64, 3, 3, 3), "decoder.input.input": torch.zeros(1, 512, 4, 4)}
    content = {"state_dict": state, "latent_avg": torch.zeros(16, 512), "opts": {"stylegan_size": 512}}
    torch.save(content, tmp_path / "cars.pt")
    forks.use(monkeypatch)
    wrong = ["--methods", "e4e", "--datasets", "folder", f"stage_settings.e4e.weights={tmp_path}/cars.pt"]
    out = tmp_path / "out"
    assert main(["run", suite, *wrong, "reference_method=''", "--workers", "2", "--out", str(out)]) == 2
    said = "".join(path.read_text() for path in (out / "work" / "logs").glob("*.txt"))
    assert "serves a generator of 16 layers" in said and not rows(out)


def test_two_runs_share_a_folder(suite, tmp_path, reference):
    command = ["run", suite, "batch_size=1", "--out", str(tmp_path / "out")]
    both = [forks.start(command, quick_report, tmp_path / f"{n}.log") for n in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    out = tmp_path / "out"
    assert rows(out) == INVERTED and not doubled(out)
    assert tables(out) == tables(reference)
    assert not list(out.glob("work/claims/*/*")), "nothing is claimed after a run"


@pytest.mark.slow
@pytest.mark.parametrize("options", [["cluster=local"], ["slurm_partition=gpu", "mem_gb=4"]], ids=["local", "slurm"])
def test_submitit_starts_workers_and_replaces_a_dead_one(options, suite, tmp_path, reference, monkeypatch):
    pytest.importorskip("submitit", reason="the extra submitit is not installed")
    slurm, out = tmp_path / "slurm", tmp_path / "out"
    fake_slurm.install(slurm)
    monkeypatch.setenv("PATH", f"{slurm / 'bin'}:{os.environ['PATH']}")
    engine = [word for option in options for word in ("--engine", option)]
    arguments = ["run", suite, "--out", str(out), "--executor", "submitit", *engine, "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT)
    assert kill_one(out), "no worker began"
    assert process.wait() == 0
    assert rows(out) == INVERTED and not doubled(out) and tables(out) == tables(reference)
    scripts = [path.read_text() for path in sorted((slurm / "jobs").glob("script-*"))]
    if options != ["cluster=local"]:
        assert len(scripts) == 2 and "--array=0-1%2" in scripts[0] and "--array" not in scripts[1]
        for said in ("--partition=gpu", "--mem=4GB", "--cpus-per-task=1", "--job-name=inversion-bench"):
            assert all(f"#SBATCH {said}\n" in script for script in scripts)


def kill_one(out: Path, patience: float = 200.0) -> int:
    """SIGKILL to the owner of the first claim that is seen; returns its id, 0 when none is seen in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for claim in out.glob("work/claims/*/[!.]*"):
            try:
                worker = json.loads(claim.read_text())["worker"]
            except FileNotFoundError:
                continue
            for pid in holders(out / "work" / "workers" / worker):
                os.kill(pid, signal.SIGKILL)
                return pid
        time.sleep(0.005)
    return 0


def holders(path: Path) -> list[int]:
    """Processes that have a file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(path):
                found.append(int(link.parts[2]))
        except OSError:
            continue  # it ended meanwhile
    return found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--executor", "local", "--engine", "a=b"], "takes no options"),
        (["--engine", "fast"], "not of the form KEY=VALUE"),
        (["--workers", "-1"], "expected a whole number of at least 1"),
    ],
)
def test_wrong_fleet_starts_nothing(arguments, said, suite, tmp_path, capsys):
    assert main(["run", suite, "--out", str(tmp_path), "workers=2", *arguments]) == 2
    assert said in capsys.readouterr().err and not rows(tmp_path)
