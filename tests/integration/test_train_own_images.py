"""Encoders and HyperStyle are trained on a folder of one's own, at any resolution and of any domain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from benchmarks.cli import main
from datasets.scope import Scope
from methods.generators import Generator, GeneratorConfig, save_generator
from methods.training.losses import _of_ffhq
from metrics.networks.sface import crop_transform

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of 128 px of random weights, and twenty images for it that are not faces."""
    root = tmp_path_factory.mktemp("cars")
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(128, (8,) * 6, z_dim=16, w_dim=16, mapping_layers=2)).eval()
    generator.scope = Scope("none", "cars")
    save_generator(generator, root / "cars.safetensors")
    (root / "images").mkdir()
    y, x = np.mgrid[:150, :150]
    for n in range(20):
        pixels = np.stack([(x * (n + 1)) % 256, (y * 2 + n) % 256, (x + y) % 256], -1).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{n:02d}.png")
    return root


def train(cars: Path, out: Path, *more: str) -> int:
    settings = [f"generator={cars / 'cars.safetensors'}", "batch=2", "losses.lpips=0", *more]
    return main(["train", "e4e", *settings, "--out", str(out), "--processes", "1", "--device", "cpu"])


def test_on_a_folder(cars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(cars, tmp_path / "t", f"data={cars / 'images'}", "budget=4") == 0
    assert "domain cars: trained without the identity loss" in capsys.readouterr().err
    weights = tmp_path / "t" / "e4e-cars.safetensors"
    with safe_open(weights, "pt") as handle:
        assert json.loads(handle.metadata()["encoder"])["resolution"] > 0
    command = ["invert", "e4e", str(cars / "images" / "03.png"), "--out", str(tmp_path / "o"), "--set", "metrics=[mse]"]
    command += ["--set", f"generator={cars / 'cars.safetensors'}", "--set", f"stage_settings.e4e.weights={weights}"]
    assert main(command) == 0
    assert "frame none (the generator's), domain cars" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "its file does not say what it was trained on; add data=..."),
        (["data=nowhere"], "data=nowhere: neither a folder nor one of"),
    ],
)
def test_what_does_not_fit_is_said_before_any_work(cars, more, said, tmp_path, capsys):
    assert train(cars, tmp_path / "t", *more, "budget=4") == 2
    assert said in capsys.readouterr().err


def test_the_identity_loss_crops_in_ffhqs_frame_what_it_crops_in_the_tight_one() -> None:
    """FFHQ's frame is larger, so that the same crop is a smaller part of it."""
    ratio = np.linalg.norm(_of_ffhq().numpy()[:, 0]) / np.linalg.norm(crop_transform()[:, 0])
    assert 0.6 < ratio < 0.8
