"""A data set is a manifest: its images, and why others could not be had; datasets.module makes batches of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from datasets import images
from datasets.scope import NOT_DECLARED, Scope
from inversion_bench.files import write_text
from inversion_bench.names import MOST, is_safe
from inversion_bench.registry import unknown
from inversion_bench.sampling import evenly

MANIFEST_FILE = "manifest.json"

Label = str | float | int


class ManifestError(ValueError):
    """A manifest does not hold what it must; the message names the file or set and what to do."""


@dataclass(frozen=True)
class Record:
    """One image of a set. file: relative to the manifest's root, "" when there is no image; then failure says why.

    sha256: images.pixel_sha256 of the image. note: what was done to it that one might not expect.
    mask: a grey PNG, relative too, that is 255 where an object occludes the
    image and 0 elsewhere, "" when there is none; mask_sha256: images.pixel_sha256 of the mask.
    """

    id: str
    file: str
    sha256: str
    labels: dict[str, Label] = field(default_factory=dict)
    failure: str = ""
    mask: str = ""
    mask_sha256: str = ""
    note: str = ""

    def content(self) -> dict[str, Any]:
        """The record as plain data, without empty masks and notes: keys of sets without them do not depend on them."""
        return {key: value for key, value in asdict(self).items() if value or not key.startswith(("mask", "note"))}


@dataclass(frozen=True)
class Manifest:
    """Everything about a built set. recipe: how images were brought to resolution x resolution pixels.

    domain: "in" when a generator of faces was trained on such images, "out" otherwise. root: the folder that the
    records' files are relative to. scope: the frame that the images are in and what they show, where it is declared.
    left_out: files beside the images that are no part of the set, each with why.

    Example:
        >>> from datasets import load
        >>> manifest = load("openpeople", limit=2)
        >>> manifest.ids, manifest.images().shape
        (['P003-emotion-08-confused', 'P008-emotion-08-confused'], torch.Size([2, 3, 64, 64]))
    """

    name: str
    title: str
    version: int
    recipe: str
    resolution: int
    licence: str
    domain: Literal["in", "out"]
    root: Path
    records: tuple[Record, ...]
    scope: Scope = NOT_DECLARED
    left_out: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.domain not in ("in", "out"):
            raise ManifestError(f"data set {self.name!r}: domain is {self.domain!r}, expected 'in' or 'out'")
        twice = [id for id, count in Counter(record.id for record in self.records).items() if count > 1]
        if twice:
            raise ManifestError(f"data set {self.name!r}: ids occur more than once: {', '.join(twice[:5])}")
        for record in self.records:
            if not is_safe(record.id):
                raise ManifestError(
                    f"data set {self.name!r}: id {record.id!r} is not a safe file name: A-Z a-z 0-9 . _ -, up to {MOST}"
                )
            if bool(record.file) == bool(record.failure):
                raise ManifestError(f"data set {self.name!r}: {record.id} needs either a file or a failure")

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of the set's content; it does not depend on where the set is stored."""
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
    def notes(self) -> dict[str, str]:
        """Note by id of the records that have one."""
        return {record.id: record.note for record in self.records if record.note}

    @property
    def failures(self) -> dict[str, str]:
        """Reason by id of the records without an image."""
        return {record.id: record.failure for record in self.records if record.failure}

    @property
    def groups(self) -> dict[str, str]:
        """The person by id, or the image that an object was laid on, where several records share it; else empty.

        Such records are not independent.
        """
        people = {r.id: str(r.labels.get("person", r.labels.get("clean", r.id))) for r in self.records}
        return people if len(set(people.values())) < len(people) else {}

    def subset(self, limit: int | None) -> Manifest:
        """`limit` records spread evenly over the set in its order, always the same ones; None keeps all.

        A record without an image stays in when it falls in: leaving it out would hide a failure.
        """
        count = len(self.records)
        if limit is None or limit >= count:
            return self
        if limit < 1:
            raise ValueError(f"data set {self.name!r}: limit is {limit}, expected at least 1 (or none for all {count})")
        return replace(self, records=tuple(evenly(self.records, limit)))

    def record(self, id: str) -> Record:
        """The record `id`. Raises UnknownNameError."""
        if id not in self.by_id:
            raise unknown(f"image of data set {self.name!r}", id, self.by_id)
        return self.by_id[id]

    def picture(self, id: str) -> Image.Image:
        """One image as 8-bit RGB, resolution x resolution; its pixels are checked against the manifest.

        Raises ImageError for a record without an image and for a file that is not what the manifest says.
        """
        record, side = self.record(id), self.resolution
        if record.failure:
            raise images.ImageError(record.failure)
        path = self.root / record.file
        image = images.read_rgb(path)
        if image.size != (side, side):
            raise images.ImageError(
                f"{path}: expected {side}x{side} px, found {image.width}x{image.height}; build the set again"
            )
        if images.pixel_sha256(image) != record.sha256:
            raise images.ImageError(f"{path}: pixels differ from the manifest's SHA-256; build the set again")
        return image

    def image(self, id: str) -> Tensor:
        """The same as float32 [3, resolution, resolution] in [-1, 1]."""
        return images.to_tensor(self.picture(id))

    def images(self, ids: Sequence[str] | None = None) -> Tensor:
        """Images [N, 3, resolution, resolution] of the ids, or of all records that have one; errors as `image`."""
        pictures = [self.picture(id) for id in (self.ids if ids is None else ids)]
        return images.to_batch(pictures) if pictures else torch.empty(0, 3, self.resolution, self.resolution)

    def save(self, folder: str | Path) -> Path:
        """Write `folder`/manifest.json atomically; the root is not stored: it is the folder."""
        content = {key: value for key, value in asdict(self).items() if key not in ("root", "records", "left_out")}
        content["records"] = [record.content() for record in self.records]
        target = Path(folder) / MANIFEST_FILE
        write_text(target, json.dumps(content, indent=1, allow_nan=False) + "\n")
        return target


def listed(left_out: Sequence[str], most: int = 8) -> str:
    """How many files are left out, and their names."""
    more = f", and {len(left_out) - most} more" if len(left_out) > most else ""
    return f"{len(left_out)} files that are no images that are read: {', '.join(left_out[:most])}{more}"


def load_manifest_file(path: str | Path) -> Manifest:
    """The manifest in a file or in a folder's manifest.json. Raises ManifestError that names the file."""
    path = Path(path)
    path = path / MANIFEST_FILE if path.is_dir() else path
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        records = tuple(Record(**record) for record in content.pop("records"))
        scope = Scope(**content.pop("scope", {}))
        return Manifest(root=path.parent, records=records, scope=scope, **content)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such manifest; build the data set first") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: not a manifest ({error}); delete its folder and build the set again") from error
