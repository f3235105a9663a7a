"""Pairs within a data set: an image and the clean one that its label `clean` names, for metrics.paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.engine.store import InversionStore, Row
from datasets.base import Manifest, Record
from datasets.images import ImageError, pixel_sha256, read_rgb, to_tensor
from metrics.base import Undefined
from metrics.paired import PARSER, Input, PairedMetric
from metrics.regions import load_parser

NATURAL = "natural"  # the label `object` of images that are occluded by themselves
NO_TWIN = "the image is occluded by itself: no clean picture agrees with it pixel by pixel"

Regions = Mapping[str, tuple[Tensor, str]]  # by id of a clean record: [1, H, W] and why there is none ("")


def pairs(manifest: Manifest) -> list[Record]:
    """Records that are compared with a clean one."""
    return [record for record in manifest.records if "clean" in record.labels]


def protocol_of(name: str, record: Record) -> str:
    """The protocol of a record's rows: images that are occluded by themselves have tables of their own."""
    return f"{name}_{NATURAL}" if record.labels.get("object") == NATURAL else name


def inapplicable(metric: PairedMetric, record: Record) -> str:
    """Why the metric has no value for such a record, whatever the method; "" when it has."""
    natural = record.labels.get("object") == NATURAL
    return NO_TWIN if natural and {"clean_reconstruction", "region"} & set(metric.inputs) else ""


def interest_regions(manifest: Manifest) -> Regions:
    """The interest region of every clean image that has a pair."""
    regions = {}
    for id in dict.fromkeys(str(record.labels["clean"]) for record in pairs(manifest)):
        clean = manifest.by_id[id]
        if not clean.failure:
            masks, reasons = load_parser(PARSER)(to_tensor(read_rgb(manifest.root / clean.file))[None])
            regions[id] = masks[0], reasons[0]
    return regions


def inputs(
    metric: PairedMetric,
    record: Record,
    manifest: Manifest,
    store: InversionStore,
    rows: Mapping[str, Row],
    regions: Regions,
) -> tuple[Tensor, ...]:
    """What the metric takes for one record of a stage run with these rows.

    Raises ImageError for a picture that cannot be had and Undefined for a part that does not exist.
    """
    clean = manifest.by_id[str(record.labels["clean"])]

    def clean_reconstruction() -> Tensor:
        row = rows.get(clean.id)
        if clean.failure or row is None or row["status"] != "ok":
            reason = clean.failure or (row["reason"] if row else "not run yet")
            raise ImageError(f"the clean image's inversion failed: {reason}")
        return to_tensor(read_rgb(store.picture(clean.id)))

    def region() -> Tensor:
        mask, reason = regions[clean.id]
        if reason:
            raise Undefined(f"no interest region of the clean image: {reason}")
        left = mask * (1 - _object_mask(manifest, record))
        if not left.any():
            raise Undefined("the object covers the whole interest region")
        return left

    parts: dict[Input, Callable[[], Tensor]] = {
        "reconstruction": lambda: to_tensor(read_rgb(store.picture(record.id))),
        "clean_reconstruction": clean_reconstruction,
        "clean_target": lambda: to_tensor(read_rgb(manifest.root / clean.file)),
        "region": region,
    }
    return tuple(parts[name]() for name in metric.inputs)


def _object_mask(manifest: Manifest, record: Record) -> Tensor:
    """[1, H, W], 1 where the object lies."""
    path = manifest.root / record.mask
    try:
        with Image.open(path) as picture:
            mask = picture.convert("L")
    except OSError as error:
        raise ImageError(f"{path}: the object's mask cannot be read ({error}); build the set again") from error
    if pixel_sha256(mask) != record.mask_sha256:
        raise ImageError(f"{path}: pixels differ from the manifest's SHA-256; build the set again")
    return torch.from_numpy(np.array(mask))[None] / 255
