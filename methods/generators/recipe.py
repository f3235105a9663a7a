"""How `python -m benchmarks train generator` builds, judges and exports the embedded generator."""

from __future__ import annotations

from typing import cast

from omegaconf import DictConfig, OmegaConf

from methods.generators.training import GeneratorTraining, TrainingConfig, TrainingFaces
from methods.recipe import Recipe


def recipe(overrides: DictConfig) -> Recipe:
    merged = OmegaConf.merge(OmegaConf.structured(TrainingConfig), overrides)
    config = cast(TrainingConfig, OmegaConf.to_object(merged))
    return Recipe(
        config=config,
        module=lambda: GeneratorTraining(config),
        data=lambda: TrainingFaces(config),
        validate_every=400,
        monitor="frechet_alex",
        export=lambda c, o: None,
        seed=config.seed,
    )
