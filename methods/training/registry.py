"""Trainings by name; imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inversion_bench.registry import Registry
from inversion_bench.settings import explain

if TYPE_CHECKING:
    import torch

    from methods.training.spec import TrainingSpec

    # What Lightning's Trainer runs, or a function of the output folder and the device that fits without a loop.
    Training = TrainingSpec | Callable[[Path, torch.device], None]

ENCODERS = ("psp", "e4e", "lsap", "restyle_psp", "restyle_e4e", "interestyle", "hyperstyle_w_encoder")
TRAININGS: Registry[Callable[[DictConfig], Training]] = Registry(
    "training",
    {
        "world": "methods.training.world:world",
        "generator": "methods.training.generator_export:generator",
        **{name: f"methods.training.export:{name}" for name in ENCODERS},
        "hyperstyle": "methods.training.export:hyperstyle",
        "hfgi": "methods.training.export:hfgi",
        "styleres": "methods.training.export:styleres",
        "feature_style": "methods.training.export:feature_style",
        "sfe": "methods.training.export:sfe",
        "directions": "methods.editing.export:directions",
    },
    "inversion_bench.trainings",
)


def load_training(name: str, overrides: list[str]) -> Training:
    """A training with its settings; a first one without = is the setting `name`.

    Raises ValueError for an unknown name or setting.
    """
    build = TRAININGS.get(name)
    if overrides and "=" not in overrides[0]:
        overrides = [f"name={overrides[0]}", *overrides[1:]]
    try:
        return build(OmegaConf.from_dotlist(overrides))
    except OmegaConfBaseException as error:
        raise ValueError(f"train {name}: {explain(error, 'the training')}") from error
