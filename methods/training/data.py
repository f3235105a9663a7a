"""Training images of encoders and hypernetworks: faces and fresh samples of the generator, in one fixed order.

Batch `step` of process `rank` depends on the seed and on these two numbers only, so that a resumed training sees
what an undisturbed one sees, all encoders see the same images, and N processes see what one process sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from datasets import assets
from datasets.training_faces import load_training_faces
from methods.generators.stylegan2 import Generator

VALIDATION = 128  # faces held out, the last ones


@dataclass(frozen=True)
class EncoderDataConfig:
    """batch: images a step and process. synthetic: fraction of them that the generator draws; the others are faces."""

    batch: int = 8
    synthetic: float = 0.25
    draws: int = 48_000
    seed: int = 0


class _Steps(IterableDataset[dict[str, Tensor]]):
    def __init__(self, data: EncoderData):
        self.data = data

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        step = self.data.first_step()
        while True:
            yield self.data.batch(step)
            step += 1


class EncoderData(pl.LightningDataModule):
    """Endless batches {"images" [N, 3, R, R] in [-1, 1], "w" [N, w_dim], "known" [N]}.

    known: whether an image is the generator's, at code w. Real faces are mirrored half of the time.
    """

    def __init__(self, config: EncoderDataConfig, generator: Generator, faces: Tensor | None = None):
        super().__init__()
        self.config, self.generator, self.faces = config, generator, faces

    def prepare_data(self) -> None:
        assets.ensure("lpips_alex", quiet=False)
        if self.faces is None:
            load_training_faces(self.config.draws)

    def setup(self, stage: str | None = None) -> None:
        if self.faces is None:
            self.faces, _ = load_training_faces(self.config.draws)
        if len(self.faces) <= VALIDATION:
            raise ValueError(f"{len(self.faces)} training faces, expected more than the {VALIDATION} held out")

    def first_step(self) -> int:
        """The module's own count of steps: where a resumed training goes on."""
        return int(self.trainer.lightning_module.steps) if self.trainer else 0  # type: ignore[arg-type]

    @torch.no_grad()
    def batch(self, step: int) -> dict[str, Tensor]:
        """This process's part of a step's global batch; synthetic images last."""
        assert self.faces is not None
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        size = self.config.batch
        random = torch.Generator().manual_seed((self.config.seed << 32) + step)
        chosen = torch.randint(len(self.faces) - VALIDATION, (size * world,), generator=random)
        mirrored = torch.rand(size * world, generator=random) < 0.5
        z = torch.randn(size * world, self.generator.z_dim, generator=random)
        drawn = round(self.config.synthetic * size)
        # Interleaved, so that what one process has first all of them have first.
        own = slice(rank, (size - drawn) * world, world)
        real = as_images(self.faces[chosen[own]])
        real = torch.where(mirrored[own, None, None, None], real.flip(3), real)
        w = self.generator.mapping(z[(size - drawn) * world + rank :: world])
        fake = self.generator.synthesis(w).clamp(-1, 1)
        return {
            "images": torch.cat([real, fake]),
            "w": torch.cat([torch.zeros(size - drawn, w.shape[2]), w[:, 0]]),
            "known": torch.arange(size) >= size - drawn,
        }

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Steps(self), batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        assert self.faces is not None
        held_out: Dataset[Any] = TensorDataset(as_images(self.faces[-VALIDATION:]))
        return DataLoader(held_out, batch_size=32)


def as_images(faces: Tensor) -> Tensor:
    """uint8 [N, R, R, 3] -> float [N, 3, R, R] in [-1, 1]."""
    return faces.permute(0, 3, 1, 2).float() / 127.5 - 1
