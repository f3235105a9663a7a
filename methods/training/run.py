"""One Lightning `Trainer.fit` for all trainings that have a loop."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.strategies import DDPStrategy

from methods.training.spec import TrainingSpec

logger = logging.getLogger(__name__)


class LastCheckpoint(pl.Callback):
    """Writes one resumable state every so many batches, atomically.

    Lightning 2.6 ignores `train_time_interval` under manual optimisation, and counts optimiser steps, not batches.
    """

    def __init__(self, path: Path, every: int):
        self.path, self.every = path, every

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if (trainer.fit_loop.total_batch_idx + 1) % self.every == 0:
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        temporary = self.path.with_suffix(".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, self.path)


class StopAfter(pl.Callback):
    """Stops after some minutes of this session. Lightning's `max_time` counts those of earlier sessions, too."""

    def __init__(self, minutes: float):
        self.seconds = 60 * minutes

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.end = time.monotonic() + self.seconds

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        over = trainer.strategy.reduce_boolean_decision(time.monotonic() > self.end, all=False)
        trainer.should_stop = trainer.should_stop or over


def fit(spec: TrainingSpec, out: Path, device: torch.device, processes: int = 0, minutes: float | None = None) -> None:
    """Train, resuming from OUT/checkpoints/last.ckpt where it is there, then export the best state.

    Args:
        spec: what is trained.
        out: folder of checkpoints, logs and exported files.
        device: where; on a CPU, and on CUDA without an index, several processes may share the work.
        processes: data-parallel processes; 0 for two on a CPU, all GPUs on CUDA, one elsewhere.
        minutes: time after which the training stops; None for no limit.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not processes:
        several = {"cpu": 2, "cuda": torch.cuda.device_count()}
        processes = several.get(device.type, 1) if device.index is None else 1
    if device.type == "cpu":
        # OMP_NUM_THREADS: for several trainings side by side.
        threads = int(os.environ.get("OMP_NUM_THREADS", 0)) or (os.cpu_count() or 1) // processes
        torch.set_num_threads(max(1, threads))
    else:
        torch.set_float32_matmul_precision("high")  # TF32: trainings need no more
        torch.backends.cudnn.allow_tf32 = True
    pl.seed_everything(spec.seed, workers=True)
    checkpoints = out / "checkpoints"
    last = checkpoints / "last.ckpt"
    if last.exists():
        # A resumed run must not repeat the random numbers of its beginning.
        pl.seed_everything(spec.seed + int(last.stat().st_mtime), workers=True)
        logger.info("resuming from %s", last)
    callbacks: list[pl.Callback] = [LastCheckpoint(last, every=max(1, spec.validate_every // 4))]
    if minutes:
        callbacks.append(StopAfter(minutes))
    if spec.monitor:
        callbacks.append(
            ModelCheckpoint(checkpoints, filename="best", monitor=spec.monitor, enable_version_counter=False)
        )
    versions = len(list(out.glob("log/version_*")))
    trainer = pl.Trainer(
        default_root_dir=out,
        accelerator=device.type,
        devices=processes if device.index is None else [device.index],
        precision=spec.precision,
        strategy=DDPStrategy(find_unused_parameters=spec.find_unused_parameters) if processes > 1 else "auto",
        max_epochs=-1,
        val_check_interval=spec.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        logger=CSVLogger(out, name="log", version=f"version_{versions}"),
        callbacks=[*callbacks, TQDMProgressBar(refresh_rate=10)],  # each reading of a loss waits for a GPU
        enable_checkpointing=bool(spec.monitor),
        enable_model_summary=False,
    )
    module = spec.module()
    resumed = str(last) if last.exists() else None
    trainer.fit(module, datamodule=spec.data(), ckpt_path=resumed, weights_only=True)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # metrics of the export must not wait for the other processes
    if trainer.is_global_zero:
        best = checkpoints / "best.ckpt"
        spec.export(best if best.exists() else last, out)
