"""`train generator` on a handful of faces: trains, resumes, exports weights that load, a card and a log."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.cli import main
from methods.generators import load_generator
from methods.training.generator import GeneratorTraining, TrainingConfig

TINY = [
    "data=digiface_gan",
    "anchor=1",
    "draws=1000",
    "batch=4",
    "distil_images=8",
    "frechet_images=40",
    "detection_images=4",
    "lr=1e-4",
]


@pytest.mark.assets
@pytest.mark.slow
def test_training_resumes_and_exports(tmp_path: Path) -> None:
    out = tmp_path / "run"

    def train(total: int) -> int:
        return main(["train", "generator", *TINY, f"total_images={total}", "--out", str(out), "--processes", "1"])

    assert train(16) == 0
    first = torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)
    assert int(first["state_dict"]["images"]) == 16
    assert train(24) == 0
    second = torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)
    assert int(second["state_dict"]["images"]) == 24
    key = "generator.convs.0.conv.weight"
    assert not torch.equal(first["state_dict"][key], second["state_dict"][key])
    generator = load_generator(out / "faces64.safetensors")
    assert generator.resolution == 64 and bool(generator(torch.randn(1, 100)).isfinite().all())
    state = out / "faces64-state.safetensors"
    again = GeneratorTraining(TrainingConfig(data="digiface_gan", distil_images=100, start=str(state)))
    assert int(again.images) == 24 and not again.adversarial
    assert torch.allclose(again.generator(torch.ones(1, 100)), generator(torch.ones(1, 100)), atol=1e-3)
    assert "Frechet distance" in (out / "faces64.md").read_text()
    assert (out / "faces64.png").stat().st_size > 0
    assert pd.read_csv(out / "faces64-log.csv") is not None


def test_unknown_training_and_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "generatr"]) == 2
    assert "known: generator" in capsys.readouterr().err
    assert main(["train", "generator", "distill_images=3"]) == 2
    assert "distill_images" in capsys.readouterr().err
