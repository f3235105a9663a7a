"""`python -m benchmarks.perf.trainings`: images and passes a second of the trainings, by batch, precision and layout.

Each case trains in Lightning's loop, without validation and files, for some seconds after its first steps. One JSON
line a case goes to --out as soon as it ends, so that a run that is cut short keeps what it has.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from benchmarks.engine.machine import allow_tf32, device_name, pick_device
from methods.training.generator import GeneratorTraining
from methods.training.registry import load_training
from methods.training.spec import TrainingSpec

STATE = "methods/generators/weights/training/celeba64-state.safetensors"
WARM_UP = 6  # steps before the clock starts
GENERATOR = ["data=celeba", f"start={STATE}"]
ENCODER = ["data=celeba", "align=ffhq", "synthetic=0.5"]
CASES: dict[str, list[str]] = {
    "generator 128": ["generator", *GENERATOR, "batch=128"],
    "psp 64": ["psp", *ENCODER, "batch=64"],
    "psp 64, bf16": ["psp", *ENCODER, "batch=64", "precision=bf16-mixed"],
    "interestyle 64": ["interestyle", *ENCODER, "batch=64"],
    "hyperstyle 64": ["hyperstyle", *ENCODER, "batch=64", "w_encoder=toy"],
    "generator 64": ["generator", *GENERATOR, "batch=64"],
    "restyle_psp 64": ["restyle_psp", *ENCODER, "batch=64"],
    "generator 128, channels last": ["generator", *GENERATOR, "batch=128"],
    "generator 128, cuDNN search": ["generator", *GENERATOR, "batch=128"],
}


class Clock(pl.Callback):
    """Seconds of each step after the warm-up; each waits for the device, which adds little to a step of 20 ms."""

    def __init__(self, seconds: float, layout: torch.memory_format | None):
        self.seconds, self.layout = seconds, layout
        self.steps: list[float] = []
        self.count = 0
        self.last = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.layout is not None:
            assert isinstance(module, GeneratorTraining)
            module.layout = self.layout
            module.discriminator.to(memory_format=self.layout)
        self.end = time.perf_counter() + 4 * self.seconds

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.count += 1
        if self.count > WARM_UP:
            self.steps.append(now - self.last)
        self.last = now
        trainer.should_stop = bool(self.steps) and (now > self.end or sum(self.steps) > self.seconds)


def measure(case: str, words: list[str], device: torch.device, seconds: float) -> dict[str, Any]:
    """Images and passes a second of a training, its median step in milliseconds and the peak memory in GB."""
    spec = load_training(words[0], words[1:])
    assert isinstance(spec, TrainingSpec)
    clock = Clock(seconds, torch.channels_last if "channels last" in case else None)
    if device.type == "cuda":
        allow_tf32(True)
        torch.cuda.reset_peak_memory_stats()
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=1,
        precision=spec.precision,
        benchmark="search" in case,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(spec.module(), datamodule=spec.data())
    step, batch = statistics.median(clock.steps), spec.config.batch
    found = {"ms": 1000 * step, "images_per_s": batch / statistics.mean(clock.steps), "steps": len(clock.steps)}
    found["passes_per_s"] = found["images_per_s"] * getattr(spec.config, "cost", 1)
    if device.type == "cuda":
        found["GB"] = torch.cuda.max_memory_allocated() / 1e9
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case")
    parser.add_argument("--cases", nargs="*", default=list(CASES), help=f"of: {', '.join(CASES)}")
    parser.add_argument("--generator", default="", help="of the encoders: a name or a file (default: the bundled one)")
    parser.add_argument("--batch", type=int, default=0, help="another batch for all cases")
    parser.add_argument("--out", type=Path, default=Path("trainings.jsonl"))
    options = parser.parse_args()
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    device = pick_device(options.device)
    print(device_name(device), torch.__version__)
    for case in options.cases:
        words = list(CASES[case])
        if options.generator and words[0] != "generator":
            words.append(f"generator={options.generator}")
        if options.batch:
            words.append(f"batch={options.batch}")
        try:
            result = measure(case, words, device, options.seconds)
        except (RuntimeError, ValueError, FileNotFoundError) as error:  # out of memory, an absent asset: the next case
            result = {"error": f"{type(error).__name__}: {error}"[:500]}
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"case": case, "device": device_name(device)} | result) + "\n")
        print(
            f"{case:32}", "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in result.items())
        )


if __name__ == "__main__":
    main()
