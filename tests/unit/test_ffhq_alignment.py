"""FFHQ's alignment against the released code's pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from datasets import assets
from datasets.alignment import find_face
from datasets.ffhq_alignment import align, frame_of_5, frame_of_68
from datasets.images import read_rgb
from tests.parity import Case


@pytest.mark.parametrize("name", ["inside", "border", "shrink"])
def test_pictures_equal_the_released_code(name: str) -> None:
    case = Case("align")
    image = Image.fromarray(case.arrays[f"in_u8_{name}"])
    found = align(image, frame_of_68(case.arrays[f"in_landmarks_{name}"].astype(float)), 256)
    difference = np.abs(np.asarray(found, dtype=int) - case.arrays[f"out_aligned_{name}"].astype(int))
    assert difference.max() <= 1, "Pillow's releases may round differently by 1"


def test_only_68_landmarks_are_taken() -> None:
    with pytest.raises(ValueError, match=r"expected 68 landmarks \[68, 2\], found \[5, 2\]"):
        frame_of_68(np.zeros((5, 2)))


@pytest.mark.assets
def test_five_points_put_the_eyes_where_ffhq_has_them() -> None:
    image = read_rgb(assets.ensure("orl_faces") / "s1" / "1.pgm").resize((276, 336))
    points = find_face(align(image, frame_of_5(find_face(image)), 256)).points
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    assert abs(eyes[0] - 128) < 12 and 95 < eyes[1] < 130 and 160 < mouth[1] < 205
