"""A suite of seconds for the tests of the commands: two pipelines over squares of soft noise, taken as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.cli import main
from datasets import assets
from reports import build as report

TABLES = ("tables.md", "tables.tex", "tables.csv")
IMAGES = 4
SUITE = """
base: smoke
name: tiny
methods: [sg2_w, pti]
datasets: [{name: folder, options: {path: PATH, align: false}}]
metrics: [mse, psnr]
stage_settings:
  w_optimization: {steps: 2}
  pivotal_tuning: {steps: 2}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A suite file over a folder of pictures, and a cache with the user's assets but its own data sets."""
    root = tmp_path_factory.mktemp("world")
    (root / "cache").mkdir()
    assets.ensure("lpips_alex")
    (root / "cache" / "assets").symlink_to(assets.cache_dir() / "assets")
    pictures = root / "pictures"
    pictures.mkdir()
    stream = np.random.default_rng(0)
    for n in range(IMAGES):
        coarse = Image.fromarray(stream.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(pictures / f"p{n}.png")
    (root / "tiny.yaml").write_text(SUITE.replace("PATH", str(pictures)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVERSION_BENCH_CACHE", str(root / "cache"))
        patch.setattr(report, "_figures", lambda *_: [])  # seconds each, and the same for every run
        yield root


@pytest.fixture(scope="module")
def suite(world):
    return str(world / "tiny.yaml")


@pytest.fixture(scope="module")
def reference(suite, tmp_path_factory):
    """An undivided run."""
    out = tmp_path_factory.mktemp("reference") / "out"
    assert main(["run", suite, "--out", str(out)]) == 0
    return out


def tables(out: Path) -> dict[str, bytes]:
    return {name: (out / "report" / name).read_bytes() for name in TABLES}


def states(out: Path) -> dict[str, int]:
    return pd.read_parquet(out / "results.parquet")["status"].value_counts().to_dict()


def rows(out: Path) -> int:
    return sum(f.read_bytes().count(b"\n") for f in out.glob("cells/*/rows-*.jsonl"))
