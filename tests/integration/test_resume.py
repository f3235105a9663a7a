"""Runs that break off: interrupted, out of disk space, with broken images. The next run completes them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.cli import main
from benchmarks.engine import export as results
from benchmarks.engine import store
from benchmarks.engine.config import load_suite
from benchmarks.engine.executors import local as executor_local
from benchmarks.engine.plan import Plan, expand
from benchmarks.protocols.locality import Locality
from methods.base import Method
from methods.optimization.stage import WOptimization
from methods.tuning.stage import PivotalTuning
from metrics.base import SampleMetric
from reports import build as report
from tests.integration.tiny_suite import IMAGES, INVERTED, reference, rows, states, suite, tables, world

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = pytest.mark.assets


def once(function: Callable, error: BaseException, at: int = 1) -> Callable:
    """`function`, whose call number `at` raises instead."""
    calls = iter(range(1, 1000))

    def wrapped(*args, **kwargs):
        if next(calls) == at:
            raise error
        return function(*args, **kwargs)

    return wrapped


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def finished_without(reference: Path, out: Path, *names: str) -> Path:
    """A copy of the finished run that lacks some of its files or folders."""
    shutil.copytree(reference, out, ignore=shutil.ignore_patterns(*names))
    return out


def test_resume_none_inverts_nothing(suite, tmp_path):
    assert main(["run", suite, "--out", str(tmp_path), "--resume", "none"]) == 0
    assert rows(tmp_path) == 0 and set(states(tmp_path)) == {"missing"}
    assert "not run yet" in (tmp_path / "report" / "tables.md").read_text()


def test_resume_all_inverts_again(suite, tmp_path, reference):
    tmp_path = finished_without(reference, tmp_path / "out", "re*")
    assert main(["run", suite, "--out", str(tmp_path), "--resume", "all"]) == 0
    assert tables(tmp_path) == tables(reference) and rows(tmp_path) == 2 * INVERTED
    assert set(pd.read_parquet(tmp_path / "results.parquet")["attempt"]) == {2}, "the later attempt stands"


def test_a_dead_worker_is_said(suite, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(executor_local.sys, "executable", "false")
    assert main(["run", suite, "workers=2", "--out", str(tmp_path)]) == 1
    assert "ended early (exit 1)" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("how", ["key", pytest.param("terminate", marks=pytest.mark.slow)])
def test_interrupted_run_resumes(how, suite, tmp_path, reference, monkeypatch, capsys):
    # A shell starts background jobs with SIGINT ignored; this test needs it as in a terminal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    handler = signal.getsignal(signal.SIGINT)
    tune = PivotalTuning._tune_shared
    calls = iter(range(100))

    def broken_off(*args):
        if next(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT if how == "key" else signal.SIGTERM)
        return tune(*args)

    arguments = ["run", suite, "batch_size=1", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(PivotalTuning, "_tune_shared", broken_off)
        assert main(arguments) == 130
    assert "what was done is kept" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) == handler, "a second Ctrl-C must not be ignored"
    signal.signal(signal.SIGINT, before)
    assert rows(tmp_path) == IMAGES + 1
    assert main(arguments) == 0 and tables(tmp_path) == tables(reference)


@pytest.mark.parametrize(
    ("owner", "name", "at", "absent"),
    [
        (store.InversionStore, "save", 3, "*"),
        pytest.param(store.JsonLines, "append", 2, "*", marks=pytest.mark.slow),
        (results, "write_bytes", 1, "re*"),  # results.parquet and report/
        pytest.param(report, "write_text", 2, "re*", marks=pytest.mark.slow),
    ],
)
def test_full_disk_stops_clearly_and_loses_nothing(
    owner, name, at, absent, suite, tmp_path, reference, monkeypatch, capsys
):
    tmp_path = finished_without(reference, tmp_path / "out", absent)
    arguments = ["run", suite, "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, once(getattr(owner, name), full_disk(), at))
        assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "error: " in said and "No space left on device" in said and "run the same command to resume" in said
    done = rows(tmp_path)
    assert done >= 2
    assert main(arguments) == 0 and tables(tmp_path) == tables(reference)
    assert rows(tmp_path) == INVERTED, "what was done is not done again"


@pytest.fixture
def built(suite, reference):
    """A built picture of the cached set, given back as it was."""
    plan: Plan = expand(load_suite(suite))
    manifest = plan.manifests["folder"]
    path = manifest.root / manifest.by_id["p1"].file
    before = path.read_bytes()
    yield path
    path.write_bytes(before)


def test_broken_image_fails_alone_and_is_retried(built, suite, tmp_path, reference, capsys):
    good = built.read_bytes()
    built.write_bytes(good[: len(good) // 2])
    arguments = ["run", suite, "--out", str(tmp_path)]
    assert main(arguments) == 1
    assert "1 images have failed rows" in capsys.readouterr().err
    frame = pd.read_parquet(tmp_path / "results.parquet")
    failed = frame[frame["status"].isin(["failed", "blocked"])]
    assert set(failed["image"]) == {"p1"}
    assert failed.groupby("method")["status"].unique().map(list).to_dict() == {"sg2_w": ["failed"], "pti": ["blocked"]}
    assert (frame[(frame["image"] != "p1") & (frame["metric"] == "mse")]["status"] == "ok").all()
    said = (tmp_path / "report" / "tables.md").read_text()
    assert "not a readable image" in said
    attempted = rows(tmp_path)
    assert main(arguments) == 1 and rows(tmp_path) == attempted, "a plain run does not try failed images again"
    built.write_bytes(good)
    assert main([*arguments, "--resume", "failed"]) == 0
    assert rows(tmp_path) == attempted + 2 and tables(tmp_path) == tables(reference)


def test_image_goes_on_once_the_stage_before_is_mended(suite, tmp_path, reference, monkeypatch):
    whole = WOptimization.invert

    def diverges(self, images, ids, init=None):
        if "folder/p1" in ids:
            raise RuntimeError("diverged")
        return whole(self, images, ids, init)

    arguments = ["run", suite, "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(WOptimization, "invert", diverges)
        assert main(arguments) == 1
    said = (tmp_path / "report" / "tables.md").read_text()
    assert "RuntimeError: diverged" in said and "the stage before failed: RuntimeError: diverged" in said
    assert main([*arguments, "--resume", "failed", "--phase", "invert", "methods=[sg2_w]"]) == 0
    assert main(arguments) == 0, "the tuning of the mended image is missing work"
    assert tables(tmp_path) == tables(reference)


def test_unreadable_latent_fails_alone(suite, tmp_path, reference):
    plan = expand(load_suite(suite))
    tuned, inverted = plan.lineage(plan.leaf["pti", "folder", 0])
    tmp_path = finished_without(reference, tmp_path / "out", tuned, "re*")
    arguments = ["run", suite, "--out", str(tmp_path)]
    latent = tmp_path / "inversions" / inverted / "p2.safetensors"
    latent.write_bytes(b"x" * latent.stat().st_size)
    assert main(arguments) == 1
    frame = pd.read_parquet(tmp_path / "results.parquet")
    failed = frame[frame["status"] == "blocked"]
    assert set(failed["image"]) == {"p2"} and set(failed["method"]) == {"pti"}
    assert failed["reason"].str.contains("cannot be read .*--resume all").all()
    assert main([*arguments, "--resume", "all"]) == 0 and tables(tmp_path) == tables(reference)


@pytest.mark.parametrize("name", ["p2.safetensors", pytest.param("p2.png", marks=pytest.mark.slow)])
def test_torn_file_is_made_again(name, suite, tmp_path, reference):
    tmp_path = finished_without(reference, tmp_path / "out", "re*")
    arguments = ["run", suite, "--out", str(tmp_path)]
    for path in tmp_path.glob(f"inversions/*/{name}"):
        path.write_bytes(path.read_bytes()[:-20])
    assert main(arguments) == 0
    assert tables(tmp_path) == tables(reference) and rows(tmp_path) == INVERTED + 2


def test_measurement_that_a_stored_image_lacks_is_said(suite, tmp_path, reference):
    arguments = ["run", suite, "--out", str(tmp_path)]
    assert main([*arguments, "--phase", "invert", "protocols.locality=null"]) == 0
    assert main(arguments) == 1
    assert "not measured when the image was inverted; run with --resume all" in (
        tmp_path / "report" / "tables.md"
    ).read_text().replace("\\", "")


def test_measurement_that_failed_is_tried_again(suite, tmp_path, reference, monkeypatch):
    arguments = ["run", suite, "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(Locality, "values", once(Locality.values, RuntimeError("out of memory"), at=5))
        assert main(arguments) == 1
    assert "out of memory" in (tmp_path / "report" / "tables.md").read_text()
    assert main([*arguments, "--resume", "failed"]) == 0
    assert tables(tmp_path) == tables(reference) and rows(tmp_path) == INVERTED + 1


def test_failed_scores_are_computed_again(suite, tmp_path, reference, monkeypatch):
    tmp_path = finished_without(reference, tmp_path / "out", "scores", "re*")
    with monkeypatch.context() as patch:
        patch.setattr(SampleMetric, "__call__", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
        assert main(["run", suite, "--out", str(tmp_path)]) == 1
    assert "out of memory" in (tmp_path / "report" / "tables.md").read_text()
    assert main(["run", suite, "--out", str(tmp_path)]) == 0 and tables(tmp_path) == tables(reference)


def test_batches_that_do_not_fit_are_halved_once_and_the_next_run_knows(suite, tmp_path, monkeypatch):
    """On a CPU with a faked limit: memory for one image, where the suite's W computes two."""
    sizes, whole = [], WOptimization._batch

    def short(self, images, ids, init):
        sizes.append(self.padded_size(len(ids)))
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, images, ids, init)

    monkeypatch.setattr(WOptimization, "_batch", short)
    monkeypatch.setattr(Method, "shrinks", True)
    part = ["--methods", "sg2_w", "--datasets", "folder", "batch_size=0", "--phase", "invert", "--resume", "all"]
    arguments = ["run", suite, *part, "--out", str(tmp_path)]
    for expected in ([2, 1, 1, 1], [1, 1, 1]):
        assert main(arguments) == 0 and sizes == expected
        sizes.clear()
    found = [json.loads(line) for path in tmp_path.glob("inversions/*/rows-*") for line in path.open()]
    assert [row["provenance"]["batch_size"] for row in found] == [1] * 2 * IMAGES
    assert [json.loads(path.read_text()) for path in tmp_path.glob("inversions/*/batches.json")] == [{"cpu": 1}]
