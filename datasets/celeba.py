"""CelebA: 999 photographs of the aligned and cropped release, in FFHQ's frame.

Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015. CelebA-HQ is made of the same photographs. Terms:
non-commercial research only; no part may be published or distributed further, so neither these photographs nor
images made from them may enter a repository or a document.

`validation` is a part of the training photographs, from which default settings are chosen: the bundled generator and
encoders have seen these photographs, but nobody in them is in a test photograph.

The archive has the first 999 photographs. `manifests/celeba.csv`, written by `python -m metrics.celeba_index`, has
their five landmarks by MTCNN, the split, the group of the person and what occludes the face. Ids are the original
numbers.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from datasets import alignment, assets, building, ffhq_alignment, images
from datasets.base import Label, Manifest
from datasets.scope import ALIGNED_FACES
from inversion_bench.files import atomic

VERSION = 1
INDEX = Path(__file__).parent / "manifests" / "celeba.csv"
ASSET = "celeba_photographs"
Split = Literal["train", "test"]
SPLITS = ("train", "validation", "test")
VALIDATION = 24  # photographs, one a person


@dataclass(frozen=True)
class Photograph:
    """A row of the index. landmarks: None where MTCNN finds no face. occlusion: what covers the face, or ""."""

    id: str
    split: Split
    person: str
    landmarks: alignment.Landmarks | None
    occlusion: str

    @property
    def path(self) -> Path:
        """The photograph in the cache. Raises AssetMissingError."""
        return assets.ensure(ASSET, quiet=False) / f"{self.id}.jpg"


@cache
def index() -> tuple[Photograph, ...]:
    """The 999 photographs in the order of their numbers."""
    with INDEX.open(encoding="utf-8", newline="") as handle:
        return tuple(_photograph(row) for row in csv.DictReader(handle))


@cache
def validation() -> tuple[Photograph, ...]:
    """VALIDATION training photographs without an object before the face, of as many people, by their numbers.

    They are the first ones in the order of the SHA-256 of their ids, which no later photograph and no library changes.
    """
    people: dict[str, Photograph] = {}
    for photograph in sorted(index(), key=lambda each: hashlib.sha256(each.id.encode()).digest()):
        if photograph.split == "train" and photograph.landmarks and not photograph.occlusion:
            people.setdefault(photograph.person, photograph)
    return tuple(sorted(list(people.values())[:VALIDATION], key=lambda each: each.id))


def _photograph(row: dict[str, str]) -> Photograph:
    landmarks = None
    if row["probability"]:
        points = np.array([[float(row[f"{axis}{i}"]) for axis in "xy"] for i in range(5)])
        landmarks = alignment.Landmarks(points, float(row["probability"]))
    split: Split = "test" if row["split"] == "test" else "train"
    return Photograph(row["id"], split, row["person"], landmarks, row["occlusion"])


def aligned(photograph: Photograph, resolution: int) -> Image.Image:
    """The photograph in FFHQ's frame. Raises ImageError, NoFaceError or AssetMissingError."""
    image = images.read_rgb(photograph.path)
    if photograph.landmarks is None:
        raise alignment.NoFaceError(f"{photograph.id}: MTCNN finds no face")
    return ffhq_alignment.align(image, ffhq_alignment.frame_of_5(photograph.landmarks), resolution)


def build(split: str = "test", resolution: int = 64, occluded: bool = False) -> Manifest:
    """The photographs of one split; ids such as 000042. Nobody is in a test photograph and in another one.

    split: one of SPLITS; validation is a part of train.
    occluded: only those with something before the face (microphone, hand, hair over an eye, sunglasses, hat brim).
    """
    if split not in SPLITS:
        raise ValueError(f"data set 'celeba': split is {split!r}, expected one of {', '.join(SPLITS)}")
    photographs = validation() if split == "validation" else [each for each in index() if each.split == split]
    chosen = [each for each in photographs if each.occlusion or not occluded]
    name, covered = ("celeba_occluded", " with a covered face") if occluded else ("celeba", "")
    head = Manifest(
        name=name, title=f"CelebA, {split} photographs{covered}", version=VERSION, recipe=ffhq_alignment.RECIPE,
        resolution=resolution, licence=assets.get(ASSET).licence, domain="in", root=Path(), records=(),
        scope=ALIGNED_FACES,
    )  # fmt: skip

    def candidates() -> Iterator[building.Candidate]:
        for photograph in chosen:
            labels: dict[str, Label] = {"person": photograph.person, "occluded": int(bool(photograph.occlusion))}
            if photograph.occlusion:
                labels["occlusion"] = photograph.occlusion
            yield building.Candidate(photograph.id, partial(aligned, photograph, resolution), labels)

    identity = {**building.asset_identity(ASSET), "split": split, "index": assets.sha256(INDEX)}
    return building.build(head, identity, candidates, len(chosen), building.as_is)


build_occluded = partial(build, occluded=True)


def load_training_photographs(resolution: int = 64) -> Tensor:
    """The training photographs in FFHQ's frame, uint8 [N, resolution, resolution, 3]; cached."""
    chosen = [p for p in index() if p.split == "train" and p.landmarks is not None]
    target = assets.cache_dir() / "datasets" / f"celeba-train-{resolution}-{assets.sha256(INDEX)[:12]}.safetensors"
    assets.cache_folder(target.parent)
    with FileLock(f"{target}.lock"):
        if not target.exists():
            aligned_images = np.stack([np.asarray(aligned(photograph, resolution)) for photograph in chosen])
            with atomic(target) as temporary:
                save_file({"images": torch.from_numpy(aligned_images)}, temporary)
    return load_file(target)["images"]
