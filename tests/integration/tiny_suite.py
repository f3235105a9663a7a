"""A suite of seconds for the tests of the commands: two pipelines over squares of soft noise, taken as they are.

One of them also inverts two drawn faces, each clean and with an object over it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from datasets import assets
from reports import build as report
from tests.drawn_faces import face_picture

TABLES = ("tables.md", "tables.tex", "tables.csv")
IMAGES = 3
FACES = 2
INVERTED = 2 * IMAGES + 2 * FACES  # by two pipelines; each face clean and occluded by one
SUITE = """
base: smoke
name: tiny
methods: [sg2_w, pti]
datasets:
  - {name: folder, options: {path: PATH/pictures, align: false}}
  - name: occluded
    methods: [sg2_w]
    options: {base: folder, base_options: {path: PATH/faces, align: false}, count: 2, variants: 1}
protocols:
  reconstruction: {metrics: [mse, psnr]}
  occlusion: {}
stage_settings:
  w_optimization: {steps: 2}
  pivotal_tuning: {steps: 1}
"""


def build(root: Path) -> None:
    """A suite file over a folder of pictures, and a cache with the user's assets but its own data sets."""
    (root / "cache").mkdir()
    for needed in ("lpips_alex", "sface"):
        assets.ensure(needed)
    (root / "cache" / "assets").symlink_to(assets.cache_dir() / "assets")
    pictures = root / "pictures"
    pictures.mkdir()
    stream = np.random.default_rng(0)
    for n in range(IMAGES):
        coarse = Image.fromarray(stream.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(pictures / f"p{n}.png")
    (root / "faces").mkdir()
    for n in range(FACES):
        face_picture((0.5 - 0.3 * n, 0.1 - 0.2 * n, -0.1)).save(root / "faces" / f"f{n}.png")
    (root / "tiny.yaml").write_text(SUITE.replace("PATH", str(root)))


def four_pictures(root: Path, folder: Path) -> Path:
    """A folder with the suite's pictures and a fourth one, for what needs as many."""
    shutil.copytree(root / "pictures", folder)
    with Image.open(folder / "p0.png") as image:
        ImageOps.invert(image).save(folder / "p3.png")
    return folder


def quick_report(patch: pytest.MonkeyPatch | None = None) -> None:
    """Write tables, but neither figures nor a dashboard: seconds for every run, and they have tests of their own."""
    patch = patch or pytest.MonkeyPatch()  # of a fork, which ends with it
    patch.setattr(report.figures, "draw", lambda *_: [])
    patch.setattr(report.dashboard, "write", lambda results, *_: results.directory / "report" / "index.html")


@contextmanager
def inside(root: Path) -> Iterator[None]:
    """Use its cache, and write reports quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVERSION_BENCH_CACHE", str(root / "cache"))
        quick_report(patch)
        yield


@pytest.fixture(scope="module")
def world(tiny_root):
    with inside(tiny_root):
        yield tiny_root


@pytest.fixture(scope="module")
def suite(world):
    return str(world / "tiny.yaml")


@pytest.fixture(scope="module")
def reference(tiny_reference):
    """An undivided run."""
    return tiny_reference


def tables(out: Path) -> dict[str, bytes]:
    return {name: (out / "report" / name).read_bytes() for name in TABLES}


def states(out: Path) -> dict[str, int]:
    return pd.read_parquet(out / "results.parquet")["status"].value_counts().to_dict()


def rows(out: Path) -> int:
    return sum(f.read_bytes().count(b"\n") for f in out.glob("inversions/*/rows-*.jsonl"))
