"""A data set is a manifest (what there is, and what could not be had) and a Lightning data module over it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datasets import images

MANIFEST_FILE = "manifest.json"
# Ids become file and folder names on every system.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Label = str | float | int


class ManifestError(ValueError):
    """A manifest does not hold what it must; the message names the file or set and what to do."""


@dataclass(frozen=True)
class Record:
    """One image of a set. file: relative to the manifest's root, "" when there is no image; then failure says why.

    sha256: images.pixel_sha256 of the picture. mask: a grey PNG, relative too, that is 255 where something lies over
    the picture and 0 elsewhere, "" when there is none; mask_sha256: images.pixel_sha256 of it.
    """

    id: str
    file: str
    sha256: str
    labels: dict[str, Label] = field(default_factory=dict)
    failure: str = ""
    mask: str = ""
    mask_sha256: str = ""

    def content(self) -> dict[str, Any]:
        """All that the record says; a set without masks says nothing of them."""
        return {key: value for key, value in asdict(self).items() if value or not key.startswith("mask")}


@dataclass(frozen=True)
class Manifest:
    """Everything about a built set. recipe: how pictures were brought to resolution x resolution pixels."""

    name: str
    title: str
    version: int
    recipe: str
    resolution: int
    licence: str
    domain: Literal["in", "out"]
    root: Path
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        if self.domain not in ("in", "out"):
            raise ManifestError(f"data set {self.name!r}: domain is {self.domain!r}, expected 'in' or 'out'")
        twice = [id for id, count in Counter(record.id for record in self.records).items() if count > 1]
        if twice:
            raise ManifestError(f"data set {self.name!r}: ids occur more than once: {', '.join(twice[:5])}")
        for record in self.records:
            if not _ID.fullmatch(record.id):
                raise ManifestError(f"data set {self.name!r}: id {record.id!r} has other signs than A-Z a-z 0-9 . _ -")
            if bool(record.file) == bool(record.failure):
                raise ManifestError(f"data set {self.name!r}: {record.id} needs either a file or a failure")

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of what the set is: the same wherever it lies."""
        content = {
            "name": self.name,
            "version": self.version,
            "recipe": self.recipe,
            "resolution": self.resolution,
            "records": [record.content() for record in self.records],
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def by_id(self) -> dict[str, Record]:
        return {record.id: record for record in self.records}

    @property
    def ids(self) -> list[str]:
        """Ids of the records that have an image."""
        return [record.id for record in self.records if not record.failure]

    @property
    def failures(self) -> dict[str, str]:
        """Reason by id of the records without an image."""
        return {record.id: record.failure for record in self.records if record.failure}

    def subset(self, limit: int | None) -> Manifest:
        """`limit` records spread evenly over the set in its order, always the same ones; None keeps all.

        A record without an image stays in when it falls in: leaving it out would hide a failure.
        """
        count = len(self.records)
        if limit is None or limit >= count:
            return self
        if limit < 1:
            raise ValueError(f"data set {self.name!r}: limit is {limit}, expected at least 1 (or none for all {count})")
        # The middle of `limit` equal bins, in whole numbers.
        return replace(self, records=tuple(self.records[(2 * i + 1) * count // (2 * limit)] for i in range(limit)))

    def save(self, folder: str | Path) -> Path:
        """Write `folder`/manifest.json, whole or not at all; the root is not stored: it is the folder."""
        content = {key: value for key, value in asdict(self).items() if key not in ("root", "records")}
        content["records"] = [record.content() for record in self.records]
        target = Path(folder) / MANIFEST_FILE
        temporary = target.with_name(f".{MANIFEST_FILE}.{uuid4().hex}.tmp")
        try:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return target


def load_manifest_file(path: str | Path) -> Manifest:
    """The manifest in a file or in a folder's manifest.json. Raises ManifestError that names the file."""
    path = Path(path)
    path = path / MANIFEST_FILE if path.is_dir() else path
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        records = tuple(Record(**record) for record in content.pop("records"))
        return Manifest(root=path.parent, records=records, **content)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such manifest; build the data set first") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: not a manifest ({error}); delete its folder and build the set again") from error


class _Item(NamedTuple):
    id: str
    image: Tensor | None
    failure: str


class _Images(Dataset[_Item]):
    def __init__(self, manifest: Manifest, ids: Sequence[str]) -> None:
        self.manifest, self.ids = manifest, list(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> _Item:
        record = self.manifest.by_id[self.ids[index]]
        if record.failure:
            return _Item(record.id, None, record.failure)
        side, path = self.manifest.resolution, self.manifest.root / record.file
        try:
            picture = images.read_rgb(path)
        except images.ImageError as error:
            return _Item(record.id, None, str(error))
        if picture.size != (side, side):
            found = f"{picture.width}x{picture.height}"
            return _Item(record.id, None, f"{path}: expected {side}x{side} px, found {found}; build the set again")
        if images.pixel_sha256(picture) != record.sha256:
            return _Item(record.id, None, f"{path}: pixels differ from the manifest's SHA-256; build the set again")
        return _Item(record.id, images.to_tensor(picture), "")


class ImageDataModule(pl.LightningDataModule):
    """The images of chosen ids, in their order, for Trainer.predict.

    A batch is a dict: ids (list of N), images [N, 3, H, W] float32 in [-1, 1] and failures (reason by id of the
    images that could not be had; they are missing from ids and images, and N may be 0).
    """

    def __init__(self, manifest: Manifest, ids: Sequence[str], batch_size: int = 8) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        for id in ids:
            if id not in manifest.by_id:
                near = get_close_matches(id, manifest.by_id, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise KeyError(f"data set {manifest.name!r} has no image {id!r} among {len(manifest.records)}{hint}")
        self.manifest, self.image_ids, self.batch_size = manifest, list(ids), batch_size
        self._images: _Images | None = None

    def prepare_data(self) -> None:
        """Checks that the built set still lies where its manifest says."""
        if not self.manifest.root.is_dir():
            raise ManifestError(f"data set {self.manifest.name!r}: {self.manifest.root} is gone; load the set again")

    def setup(self, stage: str | None = None) -> None:
        self._images = _Images(self.manifest, self.image_ids)

    def predict_dataloader(self) -> DataLoader[_Item]:
        if self._images is None:
            self.setup("predict")
        assert self._images is not None
        return DataLoader(self._images, batch_size=self.batch_size, shuffle=False, collate_fn=self._collate)

    def _collate(self, items: list[_Item]) -> dict[str, Any]:
        side = self.manifest.resolution
        good = [(item.id, item.image) for item in items if item.image is not None]
        return {
            "ids": [id for id, _ in good],
            "images": torch.stack([image for _, image in good]) if good else torch.empty(0, 3, side, side),
            "failures": {item.id: item.failure for item in items if item.image is None},
        }
