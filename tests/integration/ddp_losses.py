"""Run as `python -m tests.integration.ddp_losses PROCESSES OUT`: tiny trainings that log the losses of every step.

A module of its own, as Lightning starts the second process by the command of the first. The global batch is the same
for one process and for two.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytorch_lightning as pl
import torch

from methods.training import data as encoder_data
from methods.training.registry import load_training
from methods.training.run import fit

BATCH, STEPS = 8, 4
TRAININGS = {
    # Renders, has LPIPS and identity terms, learns codes of samples, and has a latent discriminator with its pools.
    "e4e": ["generator=toy", "adversarial=0.1", "latent=1", "progressive=false", f"budget={STEPS * BATCH}"],
    # Distils for a step, then plays with the discriminator and its R1.
    "generator": [
        "data=digiface_gan",
        "anchor=1",
        "distil_images=8",
        "r1_interval=2",
        "frechet_images=50",
        f"total_images={STEPS * BATCH}",
    ],
}


def run(processes: int, out: Path) -> None:
    trainer = pl.Trainer
    with (
        patch.object(pl, "Trainer", lambda **options: trainer(**options | {"log_every_n_steps": 1})),
        patch.object(encoder_data, "VALIDATION", 8),
    ):
        for name, settings in TRAININGS.items():
            batch = [f"batch={BATCH // processes}", "draws=1000"]
            if name == "e4e":
                batch.append(f"losses.identity_images={2 // processes}")
            spec: Any = load_training(name, [*settings, *batch])
            fit(replace(spec, export=lambda *_: None), out / name, torch.device("cpu"), processes)


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]))
