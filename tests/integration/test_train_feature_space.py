"""`train feature_style` and `train sfe` on a toy generator: resumed trainings give the weights of undisturbed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.cli import main
from methods.feature_space.feature_style import load_encoder
from methods.feature_space.sfe import load_network
from methods.generators import load_generator
from methods.training import data as data_module
from methods.training.base import EmaTraining

TINY = ["generator=toy", "draws=1000", "batch=2", "losses.identity=0", "budget=24"]
MORE = {"feature_style": [], "sfe": ["e4e=toy", "directions=toy"]}


def run(name: str, out: Path) -> int:
    return main(["train", name, *TINY, *MORE[name], "--out", str(out), "--processes", "1"])


def state(out: Path) -> dict[str, Tensor]:
    # Written by this test a moment ago.
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize(("name", "dies"), [("feature_style", 3), ("sfe", 2), ("sfe", 4)])
def test_resumed_training_gives_the_same_weights(
    name: str, dies: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "VALIDATION", 8)
    assert run(name, tmp_path / "whole") == 0
    real_step = EmaTraining.training_step

    def step_that_dies(self: EmaTraining, batch: dict[str, Tensor], index: int) -> None:
        if int(self.steps) == dies:
            raise OSError("the power went")
        real_step(self, batch, index)

    monkeypatch.setattr(EmaTraining, "training_step", step_that_dies)
    assert run(name, tmp_path / "cut") == 1
    monkeypatch.setattr(EmaTraining, "training_step", real_step)
    assert 0 < int(state(tmp_path / "cut")["steps._extra_state"]) <= dies
    assert run(name, tmp_path / "cut") == 0
    whole, cut = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert int(cut["steps._extra_state"]) == int(whole["steps._extra_state"]) >= 5
    assert not [key for key in whole if not torch.equal(whole[key], cut[key])]
    card = (tmp_path / "cut" / f"{name}-toy.md").read_text()
    path, generator = tmp_path / "cut" / f"{name}-toy.safetensors", load_generator("toy")
    if name == "sfe":
        assert load_network(str(path), generator).shape.layer == 5 and "| e4e, the pair's code |" in card
    else:
        assert load_encoder(path, generator).shape.layer == 3 and "| the code alone |" in card
