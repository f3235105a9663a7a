"""From a training's checkpoint to the files of the repository: weights, log, contact sheet and model card."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from datasets.checkpoints import read_checkpoint
from datasets.scope import FACES, FFHQ
from methods.encoders.designs import DESIGNS
from methods.encoders.training import EncoderTraining, EncoderTrainingConfig
from methods.feature_space.feature_style_training import FeatureStyleTraining, FeatureStyleTrainingConfig
from methods.feature_space.hfgi_training import HfgiTraining, HfgiTrainingConfig, encoder_of
from methods.feature_space.sfe_training import SfeTraining, SfeTrainingConfig, edits_of, pairs_of
from methods.feature_space.styleres_training import StyleResTraining, StyleResTrainingConfig, parts_of
from methods.generators import load_generator
from methods.generators.readers import trained_on
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.training import HyperStyleTraining, HyperStyleTrainingConfig, pivots_of
from methods.registry import flatten, stage_class
from methods.training.base import VALIDATIONS, EmaTraining, NetworkTrainingConfig
from methods.training.card import hours, images_a_step, log, machine, render_card
from methods.training.data import EncoderData
from methods.training.metrics import save_comparison
from methods.training.spec import TrainingSpec, configured

VERSION = 1
logger = logging.getLogger(__name__)
# Generators whose files do not say what they were trained on.
UNTOLD = {"toy": "digiface_gan"}


def __getattr__(name: str) -> Callable[[DictConfig], TrainingSpec]:
    """`psp`, `e4e`, ...: the training of each encoder."""
    if name in DESIGNS:
        return partial(encoder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def encoder(design: str, overrides: DictConfig) -> TrainingSpec:
    """The training of an encoder of methods/encoders/designs.py. Raises OmegaConf's error for an unknown setting."""
    default = EncoderTrainingConfig(design=design)
    base = configured(default, OmegaConf.create(dict(DESIGNS[design].training)))
    return _spec(EncoderTraining, default, configured(base, overrides), "encoder.md.j2")


def hyperstyle(overrides: DictConfig) -> TrainingSpec:
    """The training of HyperStyle. Raises OmegaConf's error, or FileNotFoundError where the W encoder is missing."""
    default = HyperStyleTrainingConfig()
    config = configured(default, overrides, {"passes": "iterations"})
    pivots_of(config, load_generator(config.generator))  # before any work, as it may be absent
    return _spec(HyperStyleTraining, default, config)


def hfgi(overrides: DictConfig) -> TrainingSpec:
    """The training of HFGI. Raises OmegaConf's error, or FileNotFoundError where the encoder is missing."""
    default = HfgiTrainingConfig()
    config = configured(default, overrides)
    encoder_of(config, load_generator(config.generator))  # before any work, as it may be absent
    return _spec(HfgiTraining, default, config)


def styleres(overrides: DictConfig) -> TrainingSpec:
    """The training of StyleRes. Raises OmegaConf's error, or FileNotFoundError where the encoder is missing."""
    default = StyleResTrainingConfig()
    config = configured(default, overrides)
    parts_of(config, load_generator(config.generator))  # before any work, as they may be absent
    return _spec(StyleResTraining, default, config)


def feature_style(overrides: DictConfig) -> TrainingSpec:
    """The training of the Feature-Style encoder. Raises OmegaConf's error for an unknown setting."""
    default = FeatureStyleTrainingConfig()
    return _spec(FeatureStyleTraining, default, configured(default, overrides))


def sfe(overrides: DictConfig) -> TrainingSpec:
    """The training of StyleFeatureEditor. Raises OmegaConf's error, or FileNotFoundError without e4e or edits."""
    default = SfeTrainingConfig()
    config = configured(default, overrides)
    generator = load_generator(config.generator)
    pairs_of(config, generator), edits_of(config, generator)  # before any work, as they may be absent
    return _spec(SfeTraining, default, config)


def _spec(
    training: Callable[[Any, Generator], EmaTraining],
    default: NetworkTrainingConfig,
    config: NetworkTrainingConfig,
    template: str = "network.md.j2",
) -> TrainingSpec:
    generator = load_generator(config.generator)
    data = config.data or UNTOLD.get(config.generator) or trained_on(config.generator)
    if not data:
        raise ValueError(f"generator={config.generator}: its file does not say what it was trained on; add data=...")
    align = config.align or generator.scope.frame or FFHQ
    losses, domain = replace(config.losses, identity_frame=align), config.domain or generator.scope.domain or FACES
    if domain != FACES and losses.identity:
        logger.warning("domain %s: trained without the identity loss, which is of faces", domain)
        losses = replace(losses, identity=0.0)
    config = replace(config, data=data, align=align, domain=domain, losses=losses)
    return TrainingSpec(
        config=config,
        module=lambda: training(config, load_generator(config.generator)),
        data=lambda: EncoderData(config, generator),
        validate_every=max(1, math.ceil(config.budget / (config.cost * config.batch) / VALIDATIONS)),
        monitor="",
        # The data have moved the generator to the device of the training; files are made and evaluated on the CPU.
        export=lambda checkpoint, out: export(training(config, generator.cpu()), checkpoint, out, default, template),
        seed=config.seed,
        precision=config.precision,
    )


def export(training: EmaTraining, checkpoint: Path, out: Path, default: NetworkTrainingConfig, template: str) -> None:
    """Write OUT/<name>-<generator>.safetensors (half precision) with its log, contact sheet and model card.

    Args:
        training: the module, which takes the checkpoint's state.
        checkpoint: Lightning's file of the run.
        out: the run's folder.
        default: the settings that the card compares with.
        template: file name of the card's template.
    """
    training.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    config = training.config
    name = f"{config.name or training.default_name}-{Path(config.generator).stem}"
    steps = int(training.steps)
    path = out / f"{name}.safetensors"
    training.save(path, {"name": name, "version": str(VERSION), "steps": str(steps)})
    stored = training.load(path)
    data = EncoderData(config, training.generator)
    data.setup()
    images = torch.cat([batch[0] for batch in data.val_dataloader()])
    first = training.reconstruct(stored, images[:10])
    save_comparison(first.target, first.image, out / f"{name}.png")
    rows = log(out)
    rows.to_csv(out / f"{name}-log.csv", index=False, float_format="%.4g")
    seen = steps * images_a_step(rows, config.batch)
    others = ("generator", "start", "w_encoder", "encoder", "e4e", "directions", "discriminator")
    named = [key for key in others if hasattr(config, key)]
    config = replace(config, **{key: Path(getattr(config, key)).stem for key in named})  # not paths of a machine
    plain = flatten(asdict(default))
    card = render_card(
        template,
        name=name,
        method=training.default_name,
        version=VERSION,
        config=config,
        changed={key: value for key, value in flatten(asdict(config)).items() if value != plain[key]},
        shape=training.shape,
        fields=asdict(training.shape),
        code=f"{type(training).__module__.replace('.', '/')}.py",
        note=stage_class(training.default_name).info.note,
        parameters=sum(p.numel() for p in training.network.parameters()),
        steps=steps,
        images=seen,
        passes=round(seen * config.cost),
        hours=hours(out),
        machine=machine(),
        found={row: training.evaluate(network, images) for row, network in training.compared(stored).items()},
        count=len(images),
    )
    (out / f"{name}.md").write_text(card, encoding="utf-8")
