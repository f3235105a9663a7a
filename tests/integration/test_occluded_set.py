"""The occluded set over drawn faces: clean and occluded pictures, masks, natural ones, failures, keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from datasets import images, registry
from datasets.base import Manifest, ManifestError, Record, load_manifest_file
from datasets.module import ImageDataModule
from tests import sheets
from tests.drawn_faces import face_picture

SKINS = [(0.5, 0.1, -0.1), (0.1, -0.2, -0.4), (0.7, 0.4, 0.2), (-0.1, -0.3, -0.4)]


@pytest.fixture
def people(tmp_path, monkeypatch):
    """A base set of four drawn people, of whom two have a picture that is occluded by itself, and no landmarks once."""
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    records = []

    def add(id: str, picture: Image.Image, **labels: str | int) -> None:
        images.save_png(picture, tmp_path / f"{id}.png")
        records.append(Record(id, f"{id}.png", images.pixel_sha256(picture), labels))

    for n, skin in enumerate(SKINS):
        add(f"p{n}", face_picture(skin), person=f"p{n}", occluded=0)
    for n in (0, 2):
        add(f"p{n}-hand", face_picture(SKINS[n]), person=f"p{n}", occluded=1)
    add("stranger-hand", face_picture(SKINS[0]), person="stranger", occluded=1)
    base = Manifest("drawn", "Drawn", 1, "none", 64, "CC0", "in", tmp_path, tuple(records))
    monkeypatch.setitem(registry.DATASETS.table, "drawn", "tests.integration.test_occluded_set:drawn")
    monkeypatch.setattr("tests.integration.test_occluded_set.BASE", base)
    return base


BASE: Manifest | None = None


def drawn() -> Manifest:
    assert BASE is not None
    return BASE


def pixels(manifest: Manifest, file: str) -> np.ndarray:
    with Image.open(manifest.root / file) as picture:
        return np.asarray(picture)


def test_every_image_is_there_clean_and_occluded(people):
    manifest = registry.load("occluded", base="drawn", count=4)
    assert len(manifest.records) == 4 * (1 + 3) + 2 and not manifest.failures
    assert (manifest.domain, manifest.resolution, manifest.licence) == ("in", 64, "CC0")
    assert manifest == load_manifest_file(manifest.root)
    for record in manifest.records:
        if "clean" not in record.labels:
            source = people.by_id[record.id.removesuffix(".clean")]
            assert record.id.endswith(".clean") and record.sha256 == source.sha256 and not record.mask
            continue
        clean = manifest.by_id[record.labels["clean"]]
        assert "clean" not in clean.labels and record.labels["person"] == clean.labels["person"]
        if record.labels["object"] == "natural":
            assert record.id.endswith("-hand.natural") and not record.mask
            continue
        assert record.id == f"{clean.id[:-6]}.{record.labels['object']}-{record.labels['size']}"
        mask = pixels(manifest, record.mask)
        assert images.pixel_sha256(Image.fromarray(mask)) == record.mask_sha256
        changed = (pixels(manifest, record.file) != pixels(manifest, clean.file)).any(axis=2)
        assert mask.shape == (64, 64) and changed.any() and not changed[mask == 0].any()
    assert [r.id for r in manifest.records[-2:]] == ["p0-hand.natural", "p2-hand.natural"]
    batch = next(iter(ImageDataModule(manifest, manifest.ids).predict_dataloader()))
    assert len(batch["ids"]) == 8 and not batch["failures"]


def test_another_build_is_bit_equal_and_options_are_part_of_the_key(people, tmp_path, monkeypatch):
    first = registry.load("occluded", base="drawn", count=4, natural=1)
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "elsewhere"))
    again = registry.load("occluded", base="drawn", count=4, natural=1)
    assert again.root != first.root and again.key == first.key and len(first.records) == 17
    others = [dict(seed=1), dict(variants=2), dict(natural=0), dict(count=3)]
    keys = {registry.load("occluded", **{"base": "drawn", "count": 4, "natural": 1, **o}).key for o in others}
    assert len(keys | {first.key}) == 5


def test_faces_without_landmarks_and_base_failures_are_failures(people, tmp_path, monkeypatch):
    flat = Image.new("RGB", (64, 64), (90, 90, 90))
    images.save_png(flat, tmp_path / "flat.png")
    records = (Record("flat", "flat.png", images.pixel_sha256(flat)), Record("gone", "", "", failure="no face found"))
    monkeypatch.setattr("tests.integration.test_occluded_set.BASE", replace(people, records=records))
    manifest = registry.load("occluded", base="drawn", count=2, variants=1)
    assert "flat.clean" in manifest.ids and manifest.failures["gone.clean"] == "no face found"
    lost = {id.split(".")[0]: reason for id, reason in manifest.failures.items() if not id.endswith(".clean")}
    assert lost["gone"] == "no face found" and "O-Net gives p = 0.0" in lost["flat"]


def test_a_broken_cache_of_the_base_is_no_failure_of_an_image(people):
    (people.root / "p0.png").write_bytes(b"")
    with pytest.raises(ManifestError, match="run again"):
        registry.load("occluded", base="drawn", count=4, variants=1)


@pytest.mark.parametrize("wrong", [{"base": "occluded"}, {"count": 0}, {"variants": 7}, {"natural": -1}])
def test_options_out_of_range_are_named(people, wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        registry.load("occluded", **{"base": "drawn", **wrong})


def test_masks_leave_the_keys_of_other_sets_alone(people, tmp_path):
    record = people.records[0]
    assert "mask" not in record.content()
    masked = replace(people, records=(replace(record, mask="m.png", mask_sha256="ab"), *people.records[1:]))
    assert masked.key != people.key
    people.save(tmp_path)
    assert "mask" not in (tmp_path / "manifest.json").read_text()


def test_other_resolutions_get_the_same_objects(people, tmp_path, monkeypatch):
    small = registry.load("occluded", base="drawn", count=1, natural=0)
    picture = face_picture(SKINS[2], side=160)
    images.save_png(picture, tmp_path / "large.png")
    records = (Record("p2", "large.png", images.pixel_sha256(picture), {"person": "p2"}),)
    monkeypatch.setattr("tests.integration.test_occluded_set.BASE", replace(people, resolution=160, records=records))
    large = registry.load("occluded", base="drawn", count=1, natural=0)
    assert large.ids == small.ids and not large.failures
    for ours, theirs in zip(large.records[1:], small.records[1:], strict=True):
        found, expected = ((pixels(m, r.mask) > 0).mean() for m, r in ((large, ours), (small, theirs)))
        assert abs(found - expected) < 0.05, ours.id


def test_contact_sheet_shows_every_object(people):
    manifest = registry.load("occluded", base="drawn", count=4)
    objects = Counter(record.labels.get("object", "") for record in manifest.records if "clean" in record.labels)
    assert len(objects) == 7 and max(objects.values()) <= sheets.COLUMNS
    assert sheets.occluded(manifest).shape == (3, 7 * 128, sheets.COLUMNS * 128)
