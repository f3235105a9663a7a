"""The measurements for a GPU, as far as a CPU can rehearse them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks.perf import gpu
from benchmarks.perf.levers import CUDA_ONLY, LEVERS
from benchmarks.perf.recorder import Bench, applied
from benchmarks.perf.synthetic import inputs, random_generator
from methods.tuning.locality import LocalityConfig
from methods.tuning.stage import PivotalTuning, PivotalTuningConfig

pytestmark = pytest.mark.assets


def bench(out: Path, seconds: float = 600) -> Bench:
    return Bench(torch.device("cpu"), out / "gpu.jsonl", time.perf_counter() + seconds, gpu.SHARES, warm=1, repeat=1)


def test_every_row_names_levers_that_exist() -> None:
    rows = [row for _, rows in gpu.TUNING for row in rows] + [*gpu.PROJECTION, *gpu.COMPILED]
    assert {lever for row in rows for lever in row} - {*LEVERS, "plain", "graph"} == set()


@pytest.mark.slow
def test_a_lever_computes_what_the_suite_computes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    generator = random_generator(64, width=64)
    targets, init = inputs(generator, 1)
    measured = bench(tmp_path)
    stage = PivotalTuning(generator, PivotalTuningConfig(steps=2, stop_lpips=0.0, locality=LocalityConfig(weight=0.0)))
    other = ("compiled", "one by one", "Adam of today", "Adam in a loop")  # and fp16 takes the same way as bf16
    single = [(name,) for name in LEVERS if name not in other and "fp16" not in name]
    both = [("bf16 maps", "channels_last"), ("bf16 maps, grouped", "fused Adam", "channels_last")]
    forms = [(), ("plain", "Adam of today"), ("plain", "one by one"), *single, *both]
    gpu.compare(measured, measured.end, "a step", stage, targets, init, forms)
    for row, levers in zip(measured.rows, forms, strict=True):
        if set(levers) & set(CUDA_ONLY):
            assert row["skipped"], row
            continue
        low = any("bf16" in lever for lever in levers)
        assert row["ms"] > 0 and row["change"] < (0.3 if low else 1e-4), row
        assert not low or row["change"] > 1e-4, row
    with applied(["bf16 maps", "channels_last"]):
        assert generator.synthesis(init.latent).dtype == torch.float32


def test_a_rehearsal_without_time_lists_all_that_it_skips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--device", "cpu", "--seconds", "0", "--resolution", "64", "--out", str(tmp_path)])
    rows = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    assert {row["part"] for row in rows} == set(gpu.SHARES)
    assert not [row for row in rows if "error" in row or "ms" in row]
    assert "no time left" in capsys.readouterr().out


def test_an_error_ends_its_row_only(tmp_path: Path) -> None:
    measured = bench(tmp_path)
    measured.begin("ceiling")
    measured.attempt("one", measured.end, lambda: {"value": 1 / 0})
    measured.attempt("two", measured.end, lambda: {"value": 2.0})
    one, two = [json.loads(line) for line in measured.out.read_text().splitlines()]
    assert one["error"].startswith("ZeroDivisionError") and two["value"] == 2.0
