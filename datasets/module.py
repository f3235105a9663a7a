"""A Lightning data module over a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from datasets.base import Manifest, ManifestError
from datasets.images import ImageError, to_batch


class Item(NamedTuple):
    """One image, or None and why it cannot be read."""

    id: str
    picture: Image.Image | None
    failure: str


def load_item(manifest: Manifest, id: str) -> Item:
    try:
        return Item(id, manifest.picture(id), "")
    except ImageError as error:
        return Item(id, None, str(error))


def collate(manifest: Manifest, items: Sequence[Item]) -> dict[str, Any]:
    """A batch of items: ids (list of N, each "data set/image"), images [N, 3, H, W] float32 in [-1, 1] and failures
    (reason by id of the images that could not be read; they are missing from ids and images, and N may be 0)."""
    side = manifest.resolution
    good = [(item.id, item.picture) for item in items if item.picture is not None]
    return {
        "ids": [f"{manifest.name}/{id}" for id, _ in good],
        "images": to_batch([picture for _, picture in good]) if good else torch.empty(0, 3, side, side),
        "failures": {f"{manifest.name}/{item.id}": item.failure for item in items if item.picture is None},
    }


def require_root(manifest: Manifest) -> None:
    """Check that a built set is still where its manifest says. Raises ManifestError."""
    if not manifest.root.is_dir():
        raise ManifestError(f"data set {manifest.name!r}: {manifest.root} is gone; load the set again")


class _Images(Dataset[Item]):
    def __init__(self, manifest: Manifest, ids: Sequence[str]) -> None:
        self.manifest, self.ids = manifest, list(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Item:
        return load_item(self.manifest, self.ids[index])


class ImageDataModule(pl.LightningDataModule):
    """The images of chosen ids, in their order, for Trainer.predict; its batches are those of `collate`.

    Args:
        manifest: the data set.
        ids: images to load.
        batch_size: images of a batch; the last one may have fewer.

    Raises:
        UnknownNameError: the manifest has no record of that id.
        ValueError: batch_size is less than 1.
    """

    def __init__(self, manifest: Manifest, ids: Sequence[str], batch_size: int = 8) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        for id in ids:
            manifest.record(id)
        self.manifest, self.image_ids, self.batch_size = manifest, list(ids), batch_size

    def prepare_data(self) -> None:
        require_root(self.manifest)

    def predict_dataloader(self) -> DataLoader[Item]:
        data = _Images(self.manifest, self.image_ids)
        return DataLoader(data, batch_size=self.batch_size, shuffle=False, collate_fn=partial(collate, self.manifest))
