"""What a generator is trained on, divided among the processes of a run in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from datasets import assets, training_images
from datasets.training_faces import load_training_faces
from methods.training.generator import GeneratorTraining, TrainingConfig


def load_faces(config: TrainingConfig, z_dim: int = 100) -> tuple[Tensor, Tensor]:
    """What `config.data` names: images uint8 [N, R, R, 3], and z [N, z_dim].

    Each image is followed by its mirror image, and their z are random; a DCGAN's draws come with the z they were drawn
    from.
    """
    if config.data == "digiface_gan":
        return load_training_faces(config.draws)
    images = training_images.load(config.data, config.resolution, config.align)
    faces = torch.stack([images, images.flip(2)], dim=1).flatten(0, 1)
    return faces, torch.randn(len(faces), z_dim, generator=torch.Generator().manual_seed(config.seed))


class _Steps(IterableDataset[tuple[Tensor, Tensor]]):
    def __init__(self, data: TrainingFaces):
        self.data = data

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        step = self.data.first_step()
        while True:
            yield self.data.batch(step)
            step += 1


class TrainingFaces(pl.LightningDataModule):
    """Batches of `load_faces` to train on; fixed z to evaluate by."""

    def __init__(self, config: TrainingConfig, z_dim: int = 100):
        super().__init__()
        self.config, self.z_dim = config, z_dim

    def prepare_data(self) -> None:
        assets.ensure("lpips_alex", quiet=False)
        load_faces(self.config, self.z_dim)

    def setup(self, stage: str | None = None) -> None:
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.faces, self.z = (part.to(device) for part in load_faces(self.config, self.z_dim))
        wanted = self.config.batch * (self.trainer.world_size if self.trainer else 1)
        if len(self.faces) < wanted:
            raise ValueError(
                f"data={self.config.data}: {len(self.faces)} images with their mirror images, expected at least the "
                f"{wanted} of a step; lower batch"
            )

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's part of a step's global batch, interleaved; every face once an epoch."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        size = self.config.batch * world
        epoch, index = divmod(step, len(self.faces) // size)
        random = torch.Generator().manual_seed((self.config.seed << 32) + epoch)
        order = torch.randperm(len(self.faces), generator=random)
        chosen = order[index * size : (index + 1) * size][rank::world].to(self.faces.device)
        return self.faces[chosen], self.z[chosen]

    def first_step(self) -> int:
        """Where a resumed training goes on."""
        return cast(GeneratorTraining, self.trainer.lightning_module).step if self.trainer else 0

    def train_dataloader(self) -> DataLoader:
        return DataLoader(_Steps(self), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        z = torch.randn(self.config.frechet_images, self.z.shape[1], generator=torch.Generator().manual_seed(12345))
        return DataLoader(TensorDataset(z), batch_size=50)

    def reference_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `frechet_images` faces, this process's part of them, as float images."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        chosen = torch.arange(rank, min(self.config.frechet_images, len(self.faces)), world)
        for part in chosen.split(50):
            yield self.faces[part].permute(0, 3, 1, 2).float() / 127.5 - 1, self.z[part]
