"""Training images of encoders and hypernetworks: a data set's and fresh samples of the generator, in one fixed order.

Batch `step` of process `rank` depends on the seed and on these two numbers only, so that a resumed training sees
what an undisturbed one sees, all encoders see the same images, and N processes see what one process sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from datasets import assets, training_images
from methods.generators.stylegan2 import Generator
from methods.training.base import NetworkTrainingConfig

VALIDATION = 128  # images held out, the last ones; of a small set one in sixteen


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

    known: whether an image is the generator's, at code w. The others are mirrored half of the time.
    """

    def __init__(self, config: NetworkTrainingConfig, generator: Generator, faces: Tensor | None = None):
        super().__init__()
        self.config, self.generator, self.faces = config, generator, faces

    def prepare_data(self) -> None:
        assets.ensure("lpips_alex", quiet=False)
        self.faces = self._load()

    def setup(self, stage: str | None = None) -> None:
        """Load the images, onto the device that trains."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.faces = self._load().to(device)
        self.generator.to(device)
        if len(self.faces) <= self.held_out:
            raise ValueError(f"{len(self.faces)} training images, expected more than the {self.held_out} held out")

    @property
    def held_out(self) -> int:
        """Images that are kept for validation."""
        assert self.faces is not None
        return min(VALIDATION, math.ceil(len(self.faces) / 16))

    def _load(self) -> Tensor:
        if self.faces is not None:
            return self.faces
        config = self.config
        return training_images.load(config.data, self.generator.resolution, config.align, config.draws)

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
        chosen = torch.randint(len(self.faces) - self.held_out, (size * world,), generator=random)
        mirrored = torch.rand(size * world, generator=random) < 0.5
        z = torch.randn(size * world, self.generator.z_dim, generator=random)
        drawn = round(self.config.synthetic * size)
        # Interleaved, so that what one process has first all of them have first.
        own, device = slice(rank, (size - drawn) * world, world), self.faces.device
        real = as_images(self.faces[chosen[own].to(device)])
        real = torch.where(mirrored[own, None, None, None].to(device), real.flip(3), real)
        w = self.generator.mapping(z[(size - drawn) * world + rank :: world].to(device))
        fake = self.generator.synthesis(w).clamp(-1, 1)
        return {
            "images": torch.cat([real, fake]),
            "w": torch.cat([w.new_zeros(size - drawn, w.shape[2]), w[:, 0]]),
            "known": torch.arange(size, device=device) >= size - drawn,
        }

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Steps(self), batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        assert self.faces is not None
        held_out: Dataset[Any] = TensorDataset(as_images(self.faces[-self.held_out :]))
        return DataLoader(held_out, batch_size=32)


def as_images(faces: Tensor) -> Tensor:
    """uint8 [N, R, R, 3] -> float [N, 3, R, R] in [-1, 1]."""
    return faces.permute(0, 3, 1, 2).float() / 127.5 - 1
