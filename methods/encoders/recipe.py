"""How `python -m benchmarks train` builds, judges and exports encoders."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from jinja2 import Template
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from methods.encoders.data import EncoderData, EncoderDataConfig
from methods.encoders.design import Encoder
from methods.encoders.designs import DESIGNS, TRAINING
from methods.encoders.losses import identity_distance
from methods.encoders.training import EncoderTraining, EncoderTrainingConfig, encoded, figures, save_sheet
from methods.encoders.weights import load_encoder, save_encoder
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.recipe import Recipe
from methods.registry import flatten

VERSION = 1
VALIDATIONS = 10  # in a training


def recipe(design: str, overrides: DictConfig) -> Recipe:
    """The recipe with settings of EncoderTrainingConfig overridden; an unknown one raises OmegaConf's error."""
    base = EncoderTrainingConfig(design=design, **cast(dict[str, Any], TRAINING[design]))
    config = cast(EncoderTrainingConfig, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(base), overrides)))
    generator = load_generator(config.generator)
    cost = EncoderTraining.passes_per_image_of(config) * config.batch
    return Recipe(
        config=config,
        module=lambda: EncoderTraining(config, load_generator(config.generator)),
        data=lambda: EncoderData(data_config(config), generator),
        validate_every=max(1, math.ceil(config.budget / cost / VALIDATIONS)),
        monitor="",
        export=lambda checkpoint, out: export(checkpoint, out, config),
        seed=config.seed,
    )


psp, e4e, restyle_psp, restyle_e4e, interestyle, hyperstyle_w_encoder = (
    partial(recipe, name)
    for name in ("psp", "e4e", "restyle_psp", "restyle_e4e", "interestyle", "hyperstyle_w_encoder")
)


def data_config(config: EncoderTrainingConfig) -> EncoderDataConfig:
    return EncoderDataConfig(config.batch, config.synthetic, config.draws, config.seed)


def export(checkpoint: Path, out: Path, config: EncoderTrainingConfig) -> None:
    """Write OUT/<name>-<generator>.safetensors (half precision) with its log, sample sheet and model card."""
    generator = load_generator(config.generator)
    # Our own checkpoint of this run; Lightning's files hold more than tensors.
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    trained = EncoderTraining(config, generator)
    trained.load_state_dict(stored["state_dict"])
    name = f"{config.name or config.design}-{Path(config.generator).stem}"
    path = out / f"{name}.safetensors"
    card = {"name": name, "version": str(VERSION), "steps": str(int(trained.steps))}
    save_encoder(trained.ema, generator, path, half=True, card=card)
    data = EncoderData(data_config(config), generator)
    data.setup()
    images = torch.cat([batch[0] for batch in data.val_dataloader()])
    shipped = load_encoder(path, DESIGNS[config.design], generator)  # judged as it is shipped
    save_sheet(images[:10], encoded(shipped, generator, images[:10]).image, out / f"{name}.png")
    log(out).to_csv(out / f"{name}-log.csv", index=False, float_format="%.4g")
    found = judged(shipped, generator, images, config.losses.identity_network)
    full = judged(trained.ema.eval(), generator, images, config.losses.identity_network)
    (out / f"{name}.md").write_text(render_card(name, trained, config, found, full, len(images), out), encoding="utf-8")


def judged(encoder: Encoder, generator: Generator, images: Tensor, network: str) -> dict[str, float]:
    """The figures on all held-out faces, and the mean distance of a code's rows from their mean."""
    results = [encoded(encoder, generator, part) for part in images.split(32)]
    pictures, codes = torch.cat([r.image for r in results]), torch.cat([r.latent for r in results])
    spread = (codes - codes.mean(dim=1, keepdim=True)).norm(dim=2).mean()
    same = torch.stack(
        [1 - identity_distance(p, t, network) for p, t in zip(pictures.split(32), images.split(32), strict=True)]
    )
    found = {k: float(v) for k, v in figures(pictures, images).items()}
    return found | {"identity": float(same.mean()), "spread": float(spread)}


def render_card(
    name: str,
    trained: EncoderTraining,
    config: EncoderTrainingConfig,
    found: dict[str, float],
    full: dict[str, float],
    count: int,
    out: Path,
) -> str:
    """The model card: what it is, how it was trained, what it reaches."""
    plain = flatten(asdict(EncoderTrainingConfig(design=config.design)))
    changed = {key: value for key, value in flatten(asdict(config)).items() if value != plain[key]}
    template = Template((Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"), keep_trailing_newline=True)
    steps = int(trained.steps)
    return template.render(
        name=name,
        version=VERSION,
        config=config,
        changed=changed,
        shape=trained.encoder.config,
        parameters=sum(p.numel() for p in trained.encoder.parameters()),
        steps=steps,
        images=steps * config.batch,
        passes=round(steps * config.batch * trained.passes_per_image),
        iterations=trained.design.iterations,
        hours=hours(out),
        found=found,
        full=full,
        count=count,
    )


def log(out: Path) -> pd.DataFrame:
    """The figures of all sessions of the run, by step."""
    parts = [pd.read_csv(path) for path in sorted(out.glob("log/version_*/metrics.csv"))]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def hours(out: Path) -> float:
    """Wall hours of all sessions of the run, from the first to the last entry of each session's log."""
    total = 0.0
    for folder in out.glob("log/version_*"):
        start, end = folder / "hparams.yaml", folder / "metrics.csv"
        if start.exists() and end.exists():
            total += end.stat().st_mtime - start.stat().st_mtime
    return total / 3600
