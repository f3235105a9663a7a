"""Measuring CelebA's photographs: landmarks, people and the split, on drawn faces in their place."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from metrics import celeba_index
from tests.drawn_faces import face_picture


@pytest.mark.assets
def test_photographs_of_one_person_are_one_group_on_one_side_of_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = face_picture((0.5, 0.1, -0.1)), Image.new("RGB", (64, 64), (90, 90, 90))
    for name, picture in {"000001": first, "000002": first, "000003": second}.items():
        picture.resize((128, 128)).save(tmp_path / f"{name}.jpg")
    index = tmp_path / "celeba.csv"
    index.write_text("id,occlusion\n000002,hand\n", encoding="utf-8")
    ensure = celeba_index.assets.ensure
    monkeypatch.setattr(
        celeba_index.assets, "ensure",
        lambda name, quiet=True: tmp_path if name == celeba_index.ASSET else ensure(name, quiet),
    )  # fmt: skip
    monkeypatch.setattr(celeba_index, "INDEX", index)
    monkeypatch.setattr(celeba_index, "TEST", 2)
    celeba_index.main()
    with index.open(encoding="utf-8", newline="") as handle:
        rows = {row["id"]: row for row in csv.DictReader(handle)}
    assert list(rows["000001"]) == celeba_index.COLUMNS
    assert rows["000001"]["person"] == rows["000002"]["person"] != rows["000003"]["person"]
    assert {name: row["split"] for name, row in rows.items()} == {"000001": "test", "000002": "test", "000003": "train"}
    assert float(rows["000001"]["probability"]) > 0.5 and not rows["000003"]["probability"], "no face, no landmarks"
    assert rows["000002"]["occlusion"] == "hand", "labels by hand are kept"
