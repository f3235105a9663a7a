"""CelebA: 999 photographs of the aligned and cropped release, in FFHQ's frame.

Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015. CelebA-HQ is made of the same photographs. Terms:
non-commercial research only; no part may be published or distributed further, so neither these photographs nor
images made from them may enter a repository or a document.

The archive has the first 999 photographs. `manifests/celeba.csv`, written by `python -m metrics.celeba_index`, has
their five landmarks by MTCNN, the split, the group of the person and what occludes the face. Ids are the original
numbers.
"""

from __future__ import annotations

import csv
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


def build(split: Split = "test", resolution: int = 64, occluded: bool = False) -> Manifest:
    """The photographs of one split; ids such as 000042. No person is in both splits.

    occluded: only those with something before the face (microphone, hand, hair over an eye, sunglasses, hat brim).
    """
    if split not in ("train", "test"):
        raise ValueError(f"data set 'celeba': split is {split!r}, expected 'train' or 'test'")
    chosen = [each for each in index() if each.split == split and (each.occlusion or not occluded)]
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
