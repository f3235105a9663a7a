"""Faces of another data set, clean and with synthetic occluders: the images of the protocol `occluded`.

An image of the base comes as `<id>.clean` and as `<id>.<object>-<size>` with the object's mask. Images of the base with
a natural occlusion (label `occluded`) come as `<id>.natural`, without a mask, as they have no clean counterpart.

The label `clean` of a record names the record that it is compared with: the same image without occluder, or, for a
natural occlusion, the first clean image of the same person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datasets import alignment, building, images, occluders, registry
from datasets.base import Label, Manifest, ManifestError, Record
from datasets.training_faces import ALIGNED_BOX

VERSION = 1  # raised when an object, its position or the design changes
MIN_PROBABILITY = 0.7  # MTCNN's threshold for O-Net
FRAME_SIDE = 64  # side of the input of O-Net; ALIGNED_BOX is in its pixels

Picture = Callable[[], Image.Image]
Variant = tuple[str, str, str]  # object, size, where


def build(
    base: str = "openpeople",
    base_options: Mapping[str, Any] | None = None,
    count: int = 12,
    variants: int = 3,
    natural: int = 12,
    seed: int = 0,
) -> Manifest:
    """Evenly spaced clean images of the base, the same images with occluders, and natural occlusions.

    Args:
        base: name of a data set, with its options in base_options.
        base_options: of the base.
        count: clean images; with a multiple of 6, all objects occur at all sizes equally often. Use it instead of a
            suite's `limit`, which would separate clean and occluded images.
        variants: occluders of an image, 1 to 6.
        natural: maximum number of natural occlusions.
        seed: of the occluders.

    Raises:
        ValueError: a number is out of range.
    """
    most = len(occluders.OBJECTS)
    if base == "occluded" or count < 1 or natural < 0 or not 1 <= variants <= most:
        raise ValueError(
            f"data set 'occluded': base is {base!r}, count {count}, variants {variants}, natural {natural}; expected "
            f"another set, at least 1, 1 to {most} (objects of an image are all different) and at least 0"
        )
    base_set = registry.load(base, **(base_options or {}))
    own = tuple(record for record in base_set.records if not record.labels.get("occluded"))
    chosen = replace(base_set, records=own).subset(count).records
    pairs = _natural(base_set, chosen, natural)
    head = Manifest(
        name="occluded", title=f"{base_set.title}, with objects over the face", version=VERSION,
        recipe=f"{base_set.recipe}, objects drawn over it", resolution=base_set.resolution, licence=base_set.licence,
        domain=base_set.domain, root=Path(), records=(), scope=base_set.scope,
    )  # fmt: skip
    identity = {"base": base_set.key, "count": count, "variants": variants, "natural": natural, "seed": seed}
    candidates = partial(_candidates, base_set, chosen, design(len(chosen), variants, seed), pairs, seed)
    total = len(chosen) * (1 + variants) + len(pairs)
    return building.build(head, identity, candidates, total, prepare=lambda candidate, _: candidate.read())


def design(count: int, variants: int, seed: int) -> list[list[Variant]]:
    """The occluders of `count` images: different objects, and three sizes in turn.

    Within six consecutive images, each of the `variants` positions in an image's list has all objects once, at one
    size. Objects that may cover both halves of the face alternate between them.
    """
    names, sizes = list(occluders.OBJECTS), list(occluders.SIZES)
    plan: list[list[Variant]] = []
    for image in range(count):
        block, step = divmod(image, len(names))
        shifts = np.random.default_rng([seed, block]).permutation(len(names))[:variants]
        row = []
        for position, shift in enumerate(shifts):
            number, size = (step + int(shift)) % len(names), (position + block) % len(sizes)
            halves = occluders.OBJECTS[names[number]].places
            row.append((names[number], sizes[size], halves[(block + number + size) % len(halves)]))
        plan.append(row)
    return plan


def _natural(base_set: Manifest, chosen: tuple[Record, ...], count: int) -> list[tuple[Record, str]]:
    """Natural occlusions of people who have a clean image, with its id."""
    first: dict[Label, str] = {}
    for record in chosen:
        if "person" in record.labels:
            first.setdefault(record.labels["person"], f"{record.id}.clean")
    occluded = [r for r in base_set.records if r.labels.get("occluded") and r.labels.get("person") in first]
    if not occluded or not count:
        return []
    return [(r, first[r.labels["person"]]) for r in replace(base_set, records=tuple(occluded)).subset(count).records]


def _candidates(
    base_set: Manifest,
    chosen: tuple[Record, ...],
    plan: list[list[Variant]],
    natural: list[tuple[Record, str]],
    seed: int,
) -> Iterator[building.Candidate]:
    for record, row in zip(chosen, plan, strict=True):
        picture = cache(partial(_picture, base_set, record))
        landmarks = cache(partial(_landmarks, picture))
        clean = f"{record.id}.clean"
        about = {key: value for key, value in record.labels.items() if key != "occluded"}
        yield building.Candidate(clean, picture, about)
        for name, size, where in row:
            laid = cache(partial(_laid, picture, landmarks, (name, size, where), f"{seed} {record.id}"))
            labels = {**about, "object": name, "size": size, "where": where, "clean": clean}
            id = f"{record.id}.{name}-{size}"
            yield building.Candidate(id, partial(_part, laid, 0), labels, partial(_part, laid, 1))
    for record, clean in natural:
        labels = {**record.labels, "object": "natural", "clean": clean}
        yield building.Candidate(f"{record.id}.natural", partial(_picture, base_set, record), labels)


def _part(laid: Callable[[], tuple[Image.Image, Image.Image]], number: int) -> Image.Image:
    return laid()[number]


def _picture(base_set: Manifest, record: Record) -> Image.Image:
    if record.failure:
        raise images.ImageError(record.failure)
    try:
        return images.read_rgb(base_set.root / record.file)
    except images.ImageError as error:  # not a failure of the image: the cache is broken
        raise ManifestError(f"data set {base_set.name!r}: {error}; delete {base_set.root} and run again") from error


def _landmarks(picture: Picture) -> np.ndarray:
    image = picture()
    scale = image.width / FRAME_SIDE
    small = image if scale == 1 else image.resize((FRAME_SIDE, FRAME_SIDE), Image.Resampling.BICUBIC)
    face = alignment.landmarks_in_boxes(images.to_tensor(small)[None], ALIGNED_BOX)[0]
    if face.probability < MIN_PROBABILITY:
        raise alignment.NoFaceError(f"no landmarks to lay an object by: O-Net gives p = {face.probability:.2f}")
    return (face.points + 0.5) * scale - 0.5


def _laid(
    picture: Picture, landmarks: Callable[[], np.ndarray], variant: Variant, seed: str
) -> tuple[Image.Image, Image.Image]:
    clean = picture()
    return occluders.lay(clean, occluders.draw(*variant, landmarks(), clean.width, seed))
