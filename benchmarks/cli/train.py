"""`python -m benchmarks train NAME`: one Lightning `Trainer.fit` for all networks, and fits without a loop."""

from __future__ import annotations

import os
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.strategies import DDPStrategy

from benchmarks.engine.config import ConfigError
from methods.recipe import Recipe

ENCODERS = ("psp", "e4e", "restyle_psp", "restyle_e4e", "interestyle", "hyperstyle_w_encoder")
# name -> "module:builder"; a builder takes the overrides and returns a Recipe.
RECIPES = {
    "generator": "methods.generators.recipe:recipe",
    **{name: f"methods.encoders.recipe:{name}" for name in ENCODERS},
    "hyperstyle": "methods.hypernetworks.recipe:recipe",
}
# What is fitted at once, without a training loop: "module:function" of the overrides and the output folder.
FITS = {"directions": "methods.editing.recipe:learn_and_export"}


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


def load_recipe(name: str, overrides: list[str]) -> Recipe:
    if name not in RECIPES:
        raise ConfigError(f"nothing called {name!r} can be trained; known: {', '.join([*RECIPES, *FITS])}")
    module, function = RECIPES[name].split(":")
    try:
        return getattr(import_module(module), function)(OmegaConf.from_dotlist(overrides))
    except OmegaConfBaseException as error:
        raise ConfigError(f"train {name}: {error}") from error


def train(name: str, overrides: list[str], out: Path, processes: int, minutes: float | None) -> int:
    """Train, resuming from `out`/checkpoints/last.ckpt when it is there, then export the best state."""
    if name in FITS:
        return _fit(name, overrides, out)
    recipe = load_recipe(name, overrides)
    out.mkdir(parents=True, exist_ok=True)
    on_cpu = not torch.cuda.is_available()
    if on_cpu:
        # OMP_NUM_THREADS: for several trainings side by side.
        threads = int(os.environ.get("OMP_NUM_THREADS", 0)) or (os.cpu_count() or 1) // processes
        torch.set_num_threads(max(1, threads))
    pl.seed_everything(recipe.seed, workers=True)
    checkpoints = out / "checkpoints"
    last = checkpoints / "last.ckpt"
    if last.exists():
        # A resumed run must not repeat the random numbers of its beginning.
        pl.seed_everything(recipe.seed + int(last.stat().st_mtime), workers=True)
    callbacks: list[pl.Callback] = [LastCheckpoint(last, every=max(1, recipe.validate_every // 4))]
    if recipe.monitor:
        callbacks.append(
            ModelCheckpoint(checkpoints, filename="best", monitor=recipe.monitor, enable_version_counter=False)
        )
    versions = len(list(out.glob("log/version_*")))
    trainer = pl.Trainer(
        default_root_dir=out,
        accelerator="cpu" if on_cpu else "auto",
        devices=processes,
        strategy=DDPStrategy(find_unused_parameters=recipe.find_unused_parameters) if processes > 1 else "auto",
        max_epochs=-1,
        max_time=timedelta(minutes=minutes) if minutes else None,
        val_check_interval=recipe.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        logger=CSVLogger(out, name="log", version=f"version_{versions}"),
        callbacks=callbacks,
        enable_checkpointing=bool(recipe.monitor),
        enable_model_summary=False,
    )
    module = recipe.module()
    trainer.fit(module, datamodule=recipe.data(), ckpt_path=str(last) if last.exists() else None)
    if trainer.is_global_zero:
        best = checkpoints / "best.ckpt"
        recipe.export(best if best.exists() else last, out)
    return 0


def _fit(name: str, overrides: list[str], out: Path) -> int:
    module, function = FITS[name].split(":")
    out.mkdir(parents=True, exist_ok=True)
    try:
        getattr(import_module(module), function)(OmegaConf.from_dotlist(overrides), out)
    except (OmegaConfBaseException, ValueError, FileNotFoundError) as error:
        raise ConfigError(f"train {name}: {error}") from error
    return 0
