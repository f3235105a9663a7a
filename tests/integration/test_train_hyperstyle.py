"""`train hyperstyle` on a toy generator: interrupted and resumed gives the weights of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.cli import main
from methods.generators import load_generator
from methods.hypernetworks.training import HyperStyleTraining
from methods.hypernetworks.weights import load_hypernet
from methods.training import data as data_module

TINY = ["generator=toy", "w_encoder=toy", "draws=1000", "batch=2", "iterations=2", "losses.identity=0", "budget=24"]


def run(out: Path) -> int:
    return main(["train", "hyperstyle", *TINY, "--out", str(out), "--processes", "1"])


def state(out: Path) -> dict[str, Tensor]:
    # Written by this test a moment ago.
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]


@pytest.mark.slow
@pytest.mark.assets
def test_resumed_training_gives_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_module, "VALIDATION", 8)
    assert run(tmp_path / "whole") == 0
    real_step = HyperStyleTraining.training_step

    def step_that_dies(self: HyperStyleTraining, batch: dict[str, Tensor], index: int) -> None:
        if int(self.steps) == 3:
            raise OSError("the power went")
        real_step(self, batch, index)

    monkeypatch.setattr(HyperStyleTraining, "training_step", step_that_dies)
    assert run(tmp_path / "cut") == 1
    monkeypatch.setattr(HyperStyleTraining, "training_step", real_step)
    assert 0 < int(state(tmp_path / "cut")["steps._extra_state"]) <= 3
    assert run(tmp_path / "cut") == 0
    whole, cut = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert int(cut["steps._extra_state"]) == int(whole["steps._extra_state"]) == 6
    assert not [key for key in whole if not torch.equal(whole[key], cut[key])]
    hypernet = load_hypernet(tmp_path / "cut" / "hyperstyle-toy.safetensors", load_generator("toy"))
    changes = hypernet(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    assert len(changes) == 9 and all(bool(change.isfinite().all()) for change in changes.values())
    assert "| the pivot alone |" in (tmp_path / "cut" / "hyperstyle-toy.md").read_text()
