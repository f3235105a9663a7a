"""Manifests, the data module over them, and the registry of data sets."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datasets import images, registry
from datasets.base import Manifest, ManifestError, Record, load_manifest_file
from datasets.module import ImageDataModule

HEAD = Manifest("toy", "Toy", 1, "none", 8, "CC0", "out", Path("/nowhere"), ())

labels = st.dictionaries(
    st.text(max_size=8), st.text(max_size=8) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
ids = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9_-])?", fullmatch=True)


@st.composite
def manifests(draw) -> Manifest:
    records = [
        Record(id, "", "", draw(labels), failure="no face") if draw(st.booleans()) else Record(id, f"{id}.png", "ab")
        for id in draw(st.lists(ids, unique=True, max_size=6))
    ]
    return replace(HEAD, version=draw(st.integers(1, 99)), records=tuple(records))


def numbered(count: int) -> Manifest:
    return replace(HEAD, records=tuple(Record(f"r{i:03d}", f"{i}.png", "ab") for i in range(count)))


@given(manifests())
def test_round_trip(tmp_path_factory, manifest):
    folder = tmp_path_factory.mktemp("set")
    loaded = load_manifest_file(manifest.save(folder))
    assert loaded == replace(manifest, root=folder) and loaded.key == manifest.key
    assert load_manifest_file(folder) == loaded
    shutil.rmtree(folder)


@given(manifests(), st.text(min_size=1, max_size=20))
def test_key_is_independent_of_the_root(manifest, root):
    assert replace(manifest, root=Path(root)).key == manifest.key


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"version": 2},
        {"recipe": "other"},
        {"resolution": 16},
        {"records": (Record("r000", "0.png", "cd"),)},
        {"records": (Record("r000", "0.png", "ab", {"person": "a"}),)},
        {"records": ()},
    ],
)
def test_key_changes_with_the_content(change):
    manifest = numbered(1)
    assert replace(manifest, **change).key != manifest.key


def test_key_is_pinned():
    assert numbered(2).key == "bd26cfef884146f8f81d6f2c582022912e41272efe5870e47eaf4794f9870ffc"


@given(st.integers(1, 300), st.integers(1, 300))
def test_subset_is_spread_and_deterministic(count, limit):
    manifest = numbered(count)
    chosen = [int(record.id[1:]) for record in manifest.subset(limit).records]
    assert len(chosen) == min(count, limit) and chosen == sorted(set(chosen))
    assert chosen == [int(record.id[1:]) for record in manifest.subset(limit).records]
    if limit < count:
        gaps = np.diff([-1 - chosen[0], *chosen])[1:]
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
        assert abs(chosen[0] - (count - 1 - chosen[-1])) <= 1


def test_small_subset_covers_every_person():
    people = [f"s{i // 10:02d}" for i in range(400)]
    records = tuple(Record(f"{p}-{i}", f"{i}.png", "ab", {"person": p}) for i, p in enumerate(people))
    assert {record.labels["person"] for record in replace(HEAD, records=records).subset(40).records} == set(people)


def test_subset_keeps_failures_and_bounds():
    records = tuple(Record(f"r{i}", "", "", failure="no face") for i in range(4))
    assert len(replace(HEAD, records=records).subset(2).failures) == 2
    assert numbered(3).subset(None) == numbered(3)
    with pytest.raises(ValueError, match="limit is 0"):
        numbered(3).subset(0)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ((Record("a", "a.png", "ab"), Record("a", "b.png", "ab")), "more than once: a"),
        ((Record("../a", "a.png", "ab"),), "not a safe file name"),
        ((Record(".hidden", "a.png", "ab"),), "not a safe file name"),
        ((Record("a", "", ""),), "either a file or a failure"),
        ((Record("a", "a.png", "ab", failure="no face"),), "either a file or a failure"),
    ],
)
def test_bad_records(records, message):
    with pytest.raises(ManifestError, match=message):
        replace(HEAD, records=records)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"records": 3}', '{"records": [{"id": "a"}]}'])
def test_bad_manifest_files(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ManifestError, match=r"manifest\.json: not a manifest"):
        load_manifest_file(tmp_path)


def test_missing_manifest_and_wrong_domain(tmp_path):
    with pytest.raises(ManifestError, match="no such manifest"):
        load_manifest_file(tmp_path)
    path = numbered(1).save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "domain": "elsewhere"}))
    with pytest.raises(ManifestError, match="elsewhere"):
        load_manifest_file(tmp_path)


@pytest.fixture
def built(tmp_path) -> Manifest:
    records = []
    for i in range(7):
        image = Image.new("RGB", (8, 8), (30 * i, 0, 255))
        images.save_png(image, tmp_path / f"{i}.png")
        records.append(Record(f"r{i}", f"{i}.png", images.pixel_sha256(image)))
    return replace(HEAD, root=tmp_path, records=(*records, Record("gone", "", "", failure="no face found")))


def test_data_module_follows_the_ids(built):
    wanted = ["r5", "r0", "r3"]
    batches = list(ImageDataModule(built, wanted, batch_size=2).predict_dataloader())
    assert [batch["ids"] for batch in batches] == [["toy/r5", "toy/r0"], ["toy/r3"]]
    stacked = torch.cat([batch["images"] for batch in batches])
    assert stacked.shape == (3, 3, 8, 8) and stacked.dtype == torch.float32
    for id, image in zip(wanted, stacked, strict=True):
        assert torch.equal(image, images.to_tensor(images.read_rgb(built.root / built.by_id[id].file)))


def test_bad_images_never_break_a_batch(built):
    (built.root / "1.png").write_bytes(b"torn")
    (built.root / "2.png").unlink()
    images.save_png(Image.new("RGB", (9, 8)), built.root / "3.png")
    images.save_png(Image.new("RGB", (8, 8), "red"), built.root / "4.png")
    ids = [record.id for record in built.records]
    (batch,) = ImageDataModule(built, ids, batch_size=8).predict_dataloader()
    assert batch["ids"] == ["toy/r0", "toy/r5", "toy/r6"] and batch["images"].shape == (3, 3, 8, 8)
    found = {"r1": "not a readable", "r2": "no such file", "r3": "9x8", "r4": "SHA-256", "gone": "no face found"}
    assert batch["failures"].keys() == {f"toy/{id}" for id in found}
    assert all(part in batch["failures"][f"toy/{id}"] for id, part in found.items())


def test_images_are_stacked_in_the_order_of_the_ids(built):
    assert built.images().shape == (7, 3, 8, 8) and built.images([]).shape == (0, 3, 8, 8)
    assert torch.equal(built.images(["r3", "r0"]), torch.stack([built.image("r3"), built.image("r0")]))
    assert built.images(["r6"])[0, :, 0, 0].tolist() == pytest.approx([180 / 127.5 - 1, -1, 1])


def test_batch_of_failures_only(built):
    (batch,) = ImageDataModule(built, ["gone"]).predict_dataloader()
    assert batch["ids"] == [] and batch["images"].shape == (0, 3, 8, 8) and list(batch["failures"]) == ["toy/gone"]


def test_lightning_predicts_over_it(built):
    class Seen(pl.LightningModule):
        def predict_step(self, batch, batch_index):
            return batch["ids"], batch["failures"]

    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, barebones=False
    )
    outputs = trainer.predict(Seen(), ImageDataModule(built, ["r1", "gone", "r6"], batch_size=2))
    assert outputs == [(["toy/r1"], {"toy/gone": "no face found"}), (["toy/r6"], {})]


def test_data_module_errors(built):
    with pytest.raises(KeyError, match="did you mean 'r5'"):
        ImageDataModule(built, ["r55"])
    with pytest.raises(images.ImageError, match="no face found"):
        built.image("gone")
    with pytest.raises(ValueError, match="batch_size is 0"):
        ImageDataModule(built, ["r5"], batch_size=0)
    with pytest.raises(ManifestError, match="gone"):
        ImageDataModule(replace(built, root=built.root / "moved"), ["r5"]).prepare_data()


def test_registry_errors():
    assert {"digiface_gan", "openpeople", "orl", "folder"} <= set(registry.names())
    with pytest.raises(KeyError, match="did you mean 'openpeople'"):
        registry.load("openpeeple")
    with pytest.raises(TypeError, match="did you mean 'align'"):
        registry.load("folder", path=".", aling=True)
    with pytest.raises(TypeError, match="needs the option 'path'"):
        registry.load("folder")
    with pytest.raises(ValueError, match="n is 0"):
        registry.load("digiface_gan", n=0)
