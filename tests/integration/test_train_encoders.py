"""`train interestyle|e4e` on a toy generator: interrupted and resumed gives the weights of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.cli import main
from methods.encoders.designs import DESIGNS
from methods.encoders.training import EncoderTraining, EncoderTrainingConfig
from methods.encoders.weights import load_encoder
from methods.generators import load_generator
from methods.training import data as data_module
from methods.training.data import EncoderData
from methods.training.registry import load_training

pytestmark = pytest.mark.assets
TINY = ["generator=toy", "draws=1000", "batch=2", "losses.identity=0", "adversarial=0.1", "lr=1e-3"]


def run(name: str, out: Path, budget: int) -> int:
    return main(["train", name, *TINY, f"budget={budget}", "--out", str(out), "--processes", "1"])


def state(out: Path) -> dict[str, torch.Tensor]:
    # Written by this test a moment ago.
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "budget"), [("e4e", 24), ("interestyle", 64)])
def test_resumed_training_gives_the_same_weights(
    name: str, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "VALIDATION", 8)
    assert run(name, tmp_path / "whole", budget) == 0
    real_step = EncoderTraining.training_step

    def step_that_dies(self: EncoderTraining, batch: dict[str, torch.Tensor], index: int) -> None:
        if int(self.steps) == 5:
            raise OSError("the power went")
        real_step(self, batch, index)

    monkeypatch.setattr(EncoderTraining, "training_step", step_that_dies)
    assert run(name, tmp_path / "cut", budget) == 1
    monkeypatch.setattr(EncoderTraining, "training_step", real_step)
    died_at = int(state(tmp_path / "cut")["steps._extra_state"])
    assert 0 < died_at <= 5
    assert run(name, tmp_path / "cut", budget) == 0
    whole, cut = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert int(cut["steps._extra_state"]) == int(whole["steps._extra_state"]) == (8 if name == "interestyle" else 12)
    different = [key for key in whole if not torch.equal(whole[key], cut[key])]
    assert not different
    encoder = load_encoder(tmp_path / "cut" / f"{name}-toy.safetensors", DESIGNS[name], load_generator("toy"))
    assert encoder(torch.zeros(1, 3, 64, 64)).isfinite().all()
    assert "as stored (float16)" in (tmp_path / "cut" / f"{name}-toy.md").read_text()
    assert pd.read_csv(tmp_path / "cut" / f"{name}-toy-log.csv")["val_mse"].notna().any()


@pytest.mark.parametrize("synthetic", [0.0, 0.25])
def test_two_processes_see_what_one_sees(synthetic: float) -> None:
    """The global batch of two processes of 4 is that of one process of 8, dealt in turn."""
    faces = torch.randint(0, 256, (300, 64, 64, 3), dtype=torch.uint8)
    generator = load_generator("toy")
    data = EncoderData(EncoderTrainingConfig(design="psp", batch=8, synthetic=synthetic), generator, faces)
    whole = data.batch(3)
    assert torch.equal(whole["images"], data.batch(3)["images"])
    assert not torch.equal(whole["images"], data.batch(4)["images"])
    half = EncoderData(EncoderTrainingConfig(design="psp", batch=4, synthetic=synthetic), generator, faces)

    class Two:
        world_size = 2

        def __init__(self, rank: int):
            self.global_rank = rank

    parts = []
    for rank in (0, 1):
        half.trainer = Two(rank)  # type: ignore[assignment]
        parts.append(half.batch(3))
    for name, found in whole.items():
        both = torch.stack([part[name] for part in parts], dim=1).flatten(0, 1)
        assert torch.allclose(both.float(), found.float(), atol=1e-5), name


def test_every_encoder_can_be_trained_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in DESIGNS:
        assert load_training(name, ["generator=toy"]).config.design == name
        assert main(["train", name, "interest.filtr=none"]) == 2
        assert "filtr" in capsys.readouterr().err
