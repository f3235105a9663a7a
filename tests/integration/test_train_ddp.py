"""Two data-parallel processes train as one process does with the same global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.integration import ddp_losses

ROOT = Path(__file__).parents[2]


@pytest.mark.assets
@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.ddp_losses", "2", str(tmp_path / "two")]
    two = subprocess.Popen(command, cwd=ROOT)
    ddp_losses.run(1, tmp_path / "one")
    assert two.wait() == 0
    for name, losses in {
        "e4e": ["loss", "l2", "lpips", "identity", "latent", "delta_norm", "adversarial", "latent_discriminator"],
        "generator": ["distil_l1", "distil_lpips", "d_loss", "d_real", "d_fake", "r1", "g_loss"],
    }.items():
        found = [pd.read_csv(tmp_path / how / name / "log" / "version_0" / "metrics.csv") for how in ("one", "two")]
        for loss in losses:
            one, both = (frame[loss].dropna().tolist() for frame in found)
            assert len(one) == len(both) > 0 and one == pytest.approx(both, rel=1e-3, abs=1e-5), (name, loss)
        states = [torch.load(tmp_path / how / name / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
                  for how in ("one", "two")]  # fmt: skip
        assert states[0].keys() == states[1].keys()
