"""Data sets built from real pictures. Tests marked `assets` fetch what is not in the cache."""

from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from datasets import assets, building, ffhq_alignment, images, registry
from datasets.base import load_manifest_file
from datasets.module import ImageDataModule


@pytest.fixture(scope="module")
def photographs():
    return assets.ensure("orl_faces")


@pytest.fixture(scope="module")
def weights():
    return assets.ensure("dcgan_digiface")


@pytest.fixture
def cold_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.assets
def test_orl_is_whole():
    manifest = registry.load("orl")
    assert len(manifest.records) == 400 and not manifest.failures
    assert Counter(record.labels["person"] for record in manifest.records) == {f"s{i:02d}": 10 for i in range(1, 41)}
    assert manifest.ids[0] == "s01-01" and manifest.ids[-1] == "s40-10"
    assert registry.load("orl").key == manifest.key
    batches = list(ImageDataModule(manifest, manifest.ids, batch_size=100).predict_dataloader())
    assert all(batch["images"].shape == (100, 3, 64, 64) and not batch["failures"] for batch in batches)


@pytest.mark.assets
def test_folder_of_photographs(photographs, cold_cache, tmp_path):
    folder = tmp_path / "mine"
    (folder / "sub folder").mkdir(parents=True)
    shutil.copy(photographs / "s1" / "1.pgm", folder / "one.pgm")
    shutil.copy(photographs / "s2" / "1.pgm", folder / "sub folder" / "two.pgm")
    images.read_rgb(photographs / "s3" / "1.pgm").save(folder / "one.PNG")
    (folder / "text.png").write_text("not a picture")
    (folder / "notes.txt").write_text("left out")
    Image.new("RGB", (200, 200), "grey").save(folder / "plain.jpg")
    Image.new("RGB", (3000, 4), "grey").save(folder / "strip.png")

    manifest = registry.load("folder", path=str(folder))
    assert len(manifest.ids) == 3 and "sub_folder_two" in manifest.ids
    assert sum(id.startswith("one-") for id in manifest.ids) == 2
    assert {id: reason.split(";")[0].split(":")[0] for id, reason in manifest.failures.items()} == {
        "text": "text.png",
        "plain": "no face found in an image of 200x200 px",
        "strip": "a strip of 3000x4 px is too narrow for a face",
    }
    assert str(tmp_path) not in (manifest.root / "manifest.json").read_text()
    for id in manifest.ids:
        picture = images.read_rgb(manifest.root / manifest.by_id[id].file)
        assert picture.size == (64, 64) and images.pixel_sha256(picture) == manifest.by_id[id].sha256

    moved = folder.rename(tmp_path / "elsewhere")
    again = registry.load("folder", path=str(moved))
    assert again.key == manifest.key and again.root == manifest.root
    shutil.copy(photographs / "s4" / "1.pgm", moved / "one.pgm")
    assert registry.load("folder", path=str(moved)).key != manifest.key


def test_folder_as_it_is(cold_cache, tmp_path):
    Image.new("RGB", (128, 128), "red").save(tmp_path / "square.png")
    Image.new("RGB", (128, 100), "red").save(tmp_path / "wide.png")
    manifest = registry.load("folder", path=str(tmp_path), align=False)
    assert manifest.ids == ["square"] and "128x100" in manifest.failures["wide"]
    assert manifest.recipe == "square_as_is"


def test_folder_without_pictures(cold_cache, tmp_path):
    with pytest.raises(NotADirectoryError, match="absent"):
        registry.load("folder", path=str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image in"):
        registry.load("folder", path=str(tmp_path / "empty"))


def test_broken_build_leaves_nothing_behind(cold_cache, tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with monkeypatch.context() as patch:
        patch.setattr(building.images, "save_png", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            registry.load("folder", path=str(tmp_path), align=False)
    assert [path.suffix for path in (cold_cache / "datasets").iterdir()] == [".lock"]
    manifest = registry.load("folder", path=str(tmp_path), align=False)
    assert load_manifest_file(manifest.root) == manifest
    # The cache lies in the folder: what was built is not an image of it.
    again = registry.load("folder", path=str(tmp_path), align=False)
    assert again == manifest and again.ids == ["a"] and not again.left_out and not manifest.left_out


@pytest.mark.assets
def test_held_out_draws_begin_alike(weights, cold_cache, monkeypatch):
    monkeypatch.setattr(assets, "ensure", lambda name, quiet=True: weights)
    small, large = registry.load("digiface_gan", n=4), registry.load("digiface_gan", n=6)
    assert large.records[:4] == small.records and len(large.records) == 6
    assert small.domain == "in" and small.key != large.key


def square_of_68(pixels):
    """A predictor of landmarks as a user has one: eyes and mouth at fixed places, and no face in dark pictures."""
    if pixels.mean() < 10:
        return None
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[48], points[54] = (48, 50), (80, 50), (54, 90), (74, 90)
    return points


def test_photographs_are_aligned_by_any_predictor_side_by_side(cold_cache, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    y, x = np.mgrid[:128, :128]
    for n in range(6):
        pixels = np.stack([x, y, 0 * x + 40 * n], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{n}.png")
    Image.new("RGB", (128, 128)).save(folder / "dark.png")
    options = {"path": str(folder), "align": "ffhq", "landmarks": f"{__name__}:square_of_68", "resolution": 64}
    manifest = registry.load("folder", **options)
    assert manifest.ids == [f"p{n}" for n in range(6)] and manifest.recipe.startswith("ffhq_68 by ")
    said = capsys.readouterr().err
    assert "folder: 1 of 7 images could not be used (dark)" in said
    reported = (manifest.root / building.FAILURES).read_text()
    assert reported.startswith("id\treason\ndark\t") and "finds no face in a picture of 128x128" in reported
    wanted = ffhq_alignment.align(
        images.read_rgb(folder / "p3.png"), ffhq_alignment.frame_of_68(square_of_68(np.full(3, 99))), 64
    )
    assert images.pixel_sha256(wanted) == manifest.by_id["p3"].sha256
    # One after the other gives the same set; a second load opens no picture.
    monkeypatch.setattr("datasets.folder._WORKERS", 1)
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(cold_cache / "other"))
    assert registry.load("folder", **options).key == manifest.key
    monkeypatch.setattr(building, "_record", lambda *_, **__: pytest.fail("built again"))
    assert registry.load("folder", **options).key == manifest.key
    with pytest.raises(ValueError, match=r"no predictor of landmarks 'nowhere:f'"):
        registry.load("folder", **options | {"landmarks": "nowhere:f"})
    with pytest.raises(ValueError, match="are for align=ffhq, found align=False"):
        registry.load("folder", **options | {"align": False})
