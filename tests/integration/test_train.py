"""`train generator` on a handful of faces: trains, resumes, exports weights that load, a card and a log."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.cli import main
from datasets import assets
from datasets.celeba import ASSET
from methods.generators import load_generator
from methods.training.generator import GeneratorTraining, TrainingConfig

TINY = [
    "draws=1000",
    "batch=4",
    "frechet_images=40",
    "detection_images=4",
    "lr=1e-4",
]


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize("data", ["digiface_gan", "celeba"])
def test_training_resumes_and_exports(data: str, tmp_path: Path) -> None:
    out, photographs = tmp_path / "run", data == "celeba"
    name = "celeba64" if photographs else "faces64"
    if photographs and not assets.get(ASSET).present:
        pytest.skip(f"the CelebA photographs are not in the cache; fetch {ASSET}")
    more = [f"data={data}", *([] if photographs else ["anchor=1", "distil_images=8"])]

    def train(total: int) -> int:
        arguments = ["train", "generator", *TINY, *more, f"total_images={total}"]
        return main([*arguments, "--out", str(out), "--processes", "1"])

    assert train(16) == 0
    first = torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)
    assert int(first["state_dict"]["images._extra_state"]) == 16
    assert train(24) == 0
    second = torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)
    assert int(second["state_dict"]["images._extra_state"]) == 24
    key = "generator.convs.0.conv.weight"
    assert not torch.equal(first["state_dict"][key], second["state_dict"][key])
    generator = load_generator(out / f"{name}.safetensors")
    assert generator.resolution == 64 and bool(generator(torch.randn(1, 100)).isfinite().all())
    state = out / f"{name}-state.safetensors"
    again = GeneratorTraining(TrainingConfig(data=data, distil_images=100, start=str(state)))
    assert int(again.images) == 24 and not again.adversarial
    assert torch.allclose(again.generator(torch.ones(1, 100)), generator(torch.ones(1, 100)), atol=1e-3)
    card = (out / f"{name}.md").read_text()
    assert "Frechet distance" in card and ("No photograph of a" in card) == (not photographs)
    assert ("non-commercial research only" in card) == photographs
    assert (out / f"{name}.png").stat().st_size > 0
    assert pd.read_csv(out / f"{name}-log.csv") is not None


def test_unknown_training_and_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "generatr"]) == 2
    assert "known: world, generator" in capsys.readouterr().err
    assert main(["train", "generator", "distill_images=3"]) == 2
    assert "distill_images" in capsys.readouterr().err
