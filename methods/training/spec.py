"""What a training is made of, for `python -m benchmarks train NAME`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from methods.registry import check_numbers

C = TypeVar("C")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSpec:
    """What `train` needs to know of one training.

    validate_every: training batches between validations. monitor: the logged metric whose least value is kept as
    `best`; "" where the last state is the one to keep. export: (checkpoint, output folder) -> files for the
    repository. precision: Lightning's, such as "bf16-mixed".
    """

    config: Any
    module: Callable[[], pl.LightningModule]
    data: Callable[[], pl.LightningDataModule]
    validate_every: int
    monitor: str
    export: Callable[[Path, Path], None]
    seed: int = 0
    find_unused_parameters: bool = True
    precision: Any = "32-true"


def configured(base: C, overrides: DictConfig, former: Mapping[str, str] | None = None) -> C:
    """A frozen config with some settings overridden.

    Args:
        base: the config that the overrides are laid over.
        overrides: settings by key.
        former: keys of one version ago, each with the present one.

    Raises:
        OmegaConfBaseException: a setting is unknown or of the wrong type.
    """
    former = former or {}
    for key in set(former) & set(overrides):
        log.warning("the setting %r is now called %r", key, former[str(key)])
    present = {former.get(str(key), str(key)): value for key, value in overrides.items()}
    made = cast(C, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(base), present)))
    check_numbers(asdict(made), asdict(base), "settings")  # type: ignore[call-overload]
    return made
