"""The index of the CelebA photographs: what it says of each, and that nobody stands in both splits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from datasets import alignment, assets, images
from datasets.celeba import ASSET, VALIDATION, aligned, build, index, load_training_photographs, validation
from metrics.networks.sface import load_sface

SAME_PERSON = 0.45
OCCLUSIONS = {"", "sunglasses", "hand", "hat", "hair", "microphone", "object", "veil"}


def test_index_holds_every_photograph_once() -> None:
    photographs = index()
    assert [photograph.id for photograph in photographs] == [f"{number:06d}" for number in range(1, 1000)]
    assert Counter(photograph.split for photograph in photographs) == {"test": 200, "train": 799}
    assert {photograph.occlusion for photograph in photographs} == OCCLUSIONS
    assert [photograph.id for photograph in photographs if photograph.landmarks is None] == ["000199", "000627"]


def test_no_person_stands_in_both_splits() -> None:
    people = {split: {p.person for p in index() if p.split == split} for split in ("train", "test")}
    assert not people["train"] & people["test"]


def test_validation_photographs_are_of_as_many_people_who_are_in_no_test_photograph() -> None:
    chosen = validation()
    people = {photograph.person for photograph in chosen}
    assert len(chosen) == len(people) == VALIDATION == 24
    assert not people & {photograph.person for photograph in index() if photograph.split == "test"}
    assert all(each.split == "train" and each.landmarks is not None and not each.occlusion for each in chosen)
    # Always the same: settings were chosen from them.
    assert [int(each.id) for each in chosen[:8]] == [16, 22, 44, 61, 71, 135, 182, 299]
    with pytest.raises(ValueError, match="split is 'val', expected one of train, validation, test"):
        build("val")


@pytest.mark.assets
@pytest.mark.slow
@torch.no_grad()
def test_no_test_photograph_resembles_a_training_one() -> None:
    if not assets.get(ASSET).present:
        pytest.skip("the CelebA photographs are not in the cache; fetch celeba_photographs")
    network = load_sface().eval()
    vectors = {"train": [], "test": []}  # type: dict[str, list[torch.Tensor]]
    for photograph in index():
        if photograph.landmarks is not None:
            crop = alignment.template_crop(images.read_rgb(photograph.path), photograph.landmarks)
            vectors[photograph.split].append(network.embed(images.to_tensor(crop)[None])[0])
    cosines = torch.stack(vectors["test"]) @ torch.stack(vectors["train"]).T
    assert float(cosines.max()) < SAME_PERSON


@pytest.mark.assets
def test_photographs_fill_the_frame() -> None:
    if not assets.get(ASSET).present:
        pytest.skip("the CelebA photographs are not in the cache; fetch celeba_photographs")
    photograph = index()[11]
    picture = np.asarray(aligned(photograph, 64))
    assert picture.shape == (64, 64, 3) and picture.std() > 20
    again = alignment.find_face(images.read_rgb(photograph.path))
    assert photograph.landmarks is not None
    assert np.abs(again.points - photograph.landmarks.points).max() < 0.5
    faces = load_training_photographs(64)
    assert faces.shape == (797, 64, 64, 3)
