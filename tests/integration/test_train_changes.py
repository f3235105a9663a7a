"""`train hyperstyle`, `train hfgi` and `train styleres` on a toy generator: resumed they give the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.cli import main
from methods.feature_space import hfgi, styleres
from methods.generators import Generator, load_generator
from methods.hypernetworks.weights import load_hypernet
from methods.training import data as data_module
from methods.training.base import EmaTraining

TINY = ["generator=toy", "draws=1000", "batch=2", "losses.identity=0"]
IMAGES = torch.zeros(1, 3, 64, 64)


def residual(path: Path, generator: Generator) -> Any:
    networks = styleres.load(path, generator)
    return lambda *_: {"residual": networks(IMAGES, torch.zeros(1, 8, 16, 16))}


# Training -> its settings, six steps of them; what reads its file; the values that its network makes; the row beside.
CASES: dict[str, tuple[list[str], Any, int, str]] = {
    "hyperstyle": (["w_encoder=toy", "iterations=2", "budget=24"], load_hypernet, 9, "the pivot alone"),
    "hfgi": (["encoder=toy", "budget=16"], hfgi.load, 2, "the code alone"),
    "styleres": (["encoder=toy", "discriminator=toy", "budget=25"], residual, 1, "the code alone"),
}


def state(out: Path) -> dict[str, Tensor]:
    # Written by this test a moment ago.
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("name", CASES)
def test_resumed_training_gives_the_same_weights(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, load, count, row = CASES[name]

    def run(out: Path) -> int:
        return main(["train", name, *TINY, *settings, "--out", str(out), "--processes", "1"])

    monkeypatch.setattr(data_module, "VALIDATION", 8)
    assert run(tmp_path / "whole") == 0
    real_step = EmaTraining.training_step

    def step_that_dies(self: EmaTraining, batch: dict[str, Tensor], index: int) -> None:
        if int(self.steps) == 3:
            raise OSError("the power went")
        real_step(self, batch, index)

    monkeypatch.setattr(EmaTraining, "training_step", step_that_dies)
    assert run(tmp_path / "cut") == 1
    monkeypatch.setattr(EmaTraining, "training_step", real_step)
    assert 0 < int(state(tmp_path / "cut")["steps._extra_state"]) <= 3
    assert run(tmp_path / "cut") == 0
    whole, cut = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert int(cut["steps._extra_state"]) == int(whole["steps._extra_state"]) == 6
    assert not [key for key in whole if not torch.equal(whole[key], cut[key])]
    changes = load(tmp_path / "cut" / f"{name}-toy.safetensors", load_generator("toy"))(IMAGES, IMAGES)
    assert len(changes) == count and all(bool(change.isfinite().all()) for change in changes.values())
    assert f"| {row} |" in (tmp_path / "cut" / f"{name}-toy.md").read_text()
