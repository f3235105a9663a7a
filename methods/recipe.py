"""What a training is made of, for `python -m benchmarks train NAME`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl


@dataclass(frozen=True)
class Recipe:
    """What `train` needs to know of one training.

    validate_every: training batches between validations. monitor: the logged figure whose least value is kept
    as `best`; "" where the last state is the one to keep. export: (checkpoint, output folder) -> files for the
    repository.
    """

    config: Any
    module: Callable[[], pl.LightningModule]
    data: Callable[[], pl.LightningDataModule]
    validate_every: int
    monitor: str
    export: Callable[[Path, Path], None]
    seed: int = 0
    find_unused_parameters: bool = True
