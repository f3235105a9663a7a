"""Methods, metrics, data sets and protocols from files beside a suite, as docs/extending.md shows them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import datasets
import methods
import metrics
from benchmarks.cli import main
from benchmarks.engine.config import load_suite
from benchmarks.engine.plan import load_protocols
from benchmarks.errors import ConfigError
from datasets.registry import DATASETS
from inversion_bench.registry import search_beside
from methods.generators.readers import load_generator, toy_generator
from methods.registry import METHODS, declare, describe
from metrics.registry import METRICS
from tests.integration.tiny_suite import quick_report

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the document's files."""
    folder = tmp_path_factory.mktemp("experiment")
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def importable(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    search_beside(experiment / "suite.yaml")
    for names in (METHODS, METRICS, DATASETS):
        monkeypatch.setattr(names, "table", dict(names.table))
    return experiment


def test_the_documents_files_are_short() -> None:
    assert set(FILES) == {"truncate.py", "e4e_truncated.yaml", "l1.py", "gradients.py", "brightness.py", "suite.yaml"}
    for names in (("truncate.py", "e4e_truncated.yaml"), ("l1.py",), ("gradients.py",), ("brightness.py",)):
        assert sum(len(FILES[name].splitlines()) for name in names) < 40, names


WORKERS = {
    "here": ("--workers", "1"),
    "one": ("--workers", "1", "--timeout", "600"),  # with a time limit even one worker is a process of its own
    "two": ("--workers", "2"),
    "submitit": ("--workers", "2", "--executor", "submitit", "--engine", "cluster=local"),
}


@pytest.mark.parametrize(
    "workers", ["here", *(pytest.param(name, marks=pytest.mark.slow) for name in list(WORKERS)[1:])]
)
def test_workers_use_files_beside_a_suite(
    workers: str, importable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this process, and by fresh ones, which have imported nothing of the suite's folder."""
    monkeypatch.chdir(importable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the workers, which are processes of their own
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    quick_report(monkeypatch)
    assert main(["run", "suite.yaml", "--out", str(tmp_path / "out"), *WORKERS[workers]]) == 0
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    scores = rows[rows["metric"].isin(["mse", "l1", "brightness_change"])]
    assert set(scores["method"]) == {"e4e", "e4e_truncated"} and set(scores["dataset"]) == {"gradients"}
    assert len(scores) == 2 * 3 * 4 and set(scores["status"]) == {"ok"}
    means = scores.groupby(["method", "metric"])["value"].mean()
    assert means["e4e", "mse"] != means["e4e_truncated", "mse"]
    for method in ("e4e", "e4e_truncated"):
        assert means[method, "l1"] ** 2 <= means[method, "mse"] <= 2 * means[method, "l1"]


def test_factories_take_objects_and_files(importable: Path) -> None:
    images = datasets.load("gradients:gradients", count=4).images()
    assert images.shape == (4, 3, 64, 64)
    torch.testing.assert_close(metrics.create("l1:l1")(images, -images), (2 * images).abs().mean((1, 2, 3)))
    ids = ["a", "b", "c", "d"]
    plain, moved = (
        methods.create(name, "toy", settings={"e4e": {"weights": "toy"}}).invert(images, ids)
        for name in ("e4e", str(importable / "e4e_truncated.yaml"))
    )
    mean = methods.create("e4e", "toy", settings={"e4e": {"weights": "toy"}}).generator.w_mean
    torch.testing.assert_close(moved.latent, mean + 0.8 * (plain.latent - mean))


def test_a_generator_may_be_a_function(importable: Path) -> None:
    (importable / "seeded.py").write_text(
        "from methods.generators.readers import toy_generator\ndef three():\n    return toy_generator(seed=3)\n"
    )
    found = load_generator("seeded:three")
    assert torch.equal(found.w_mean, toy_generator(seed=3).w_mean) and not found.training
    with pytest.raises(FileNotFoundError, match="did you mean 'celeba64'"):
        load_generator("celeba46")


def test_a_stage_alone_is_a_method(importable: Path) -> None:
    assert describe("truncate:Truncate").title == "Truncation"
    assert declare("truncate:Truncate", importable) == "truncate" and "truncate" in methods.names()


def test_what_is_wrong_outside_is_named(importable: Path) -> None:
    (importable / "copied.py").write_text("from l1 import l1\n")
    for setting, message in (
        ("metrics=[l2:l2]", "'l2:l2' cannot be imported"),
        ("metrics=[l1:absolute_error]", "l1:absolute_error: expected a SampleMetric"),
        ("metrics=[l1:l1,copied:l1]", "two different metrics are called 'l1'"),
        ("methods=[missing.yaml]", "missing.yaml"),
        ("methods=[truncate:Trunkate]", "'truncate:Trunkate' cannot be imported"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_protocols(load_suite(str(importable / "suite.yaml"), [setting]))
