"""`score IMAGES TARGETS`: any program's images, paired by name, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.cli import main

pytestmark = pytest.mark.assets


@pytest.fixture
def folders(tmp_path):
    """Eight targets, and images that are three levels brighter; one without a partner on each side."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for n in range(8):
        pixels = random.integers(0, 250, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "b" / f"{n}.png")
        Image.fromarray(pixels + 3).save(tmp_path / "a" / f"{n}.webp", lossless=True)
    Image.new("RGB", (64, 64)).save(tmp_path / "a" / "mine.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "b" / "theirs.png")
    return tmp_path


def score(folders, *more: str) -> int:
    return main(["score", str(folders / "a"), str(folders / "b"), *more])


def test_means_intervals_and_what_has_no_partner(folders, capsys):
    settings = ["metrics=[mse,psnr,id_sface]", "--domain", "cats", "--out", str(folders / "out")]
    assert score(folders, *settings) == 0
    said = capsys.readouterr()
    assert "a/mine.png: no image of that name" in said.err and "b/theirs.png: no image of that name" in said.err
    mse = (3 / 127.5) ** 2
    assert f"| MSE | lower | {mse:.4f} | {mse:.4f} to {mse:.4f} | 8 |" in said.out
    assert "n/a | defined for domain faces; the images are in domain cats | 0 |" in said.out
    scores = pd.read_csv(folders / "out" / "scores.csv")
    assert np.allclose(scores.loc[scores["metric"] == "mse", "value"], mse, rtol=1e-4)
    assert said.out.strip() in (folders / "out" / "tables.md").read_text()


def test_sizes_and_names(folders, capsys):
    Image.new("RGB", (32, 64)).save(folders / "a" / "theirs.png")
    assert score(folders, "metrics=[mse]") == 1
    assert "image and target are 32x64 px and 64x64 px; resize one of them" in capsys.readouterr().err
    Image.new("RGB", (64, 64)).save(folders / "a" / "0.png")
    assert score(folders, "metrics=[mse]") == 2 and "pairs are by name" in capsys.readouterr().err
    assert main(["score", str(folders / "a")]) == 2 and "takes two" in capsys.readouterr().err
    (folders / "c").mkdir()
    assert main(["score", str(folders / "c"), str(folders / "b")]) == 2
    assert "no image of" in capsys.readouterr().err
