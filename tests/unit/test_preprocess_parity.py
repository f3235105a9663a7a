"""How pictures are resized and written, against the released code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.images import resized, to_image
from methods.resizing import pooled
from tests import parity
from tests.parity import Case


@pytest.mark.parametrize("size", ["1024x1024", "512x512", "320x200", "96x96"])
def test_encoders_see_what_pillow_resizes(size: str) -> None:
    case, (height, width) = Case("preprocess"), map(int, size.split("x"))
    pixels = parity.synth().synthetic_image_u8(f"pre.{size}", height, width, 1)[0]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 127.5 - 1
    found = (resized(images, 256)[0] + 1) * 127.5
    wanted = case[f"out_resized_{size}"].double()
    step = 256 // wanted.shape[-1]
    # Pillow rounds to 8 bits after each of its two passes; a tensor is not rounded.
    assert float((found[:, ::step, ::step] - wanted).abs().max()) <= 1.01


def test_pictures_are_written_as_ptis_and_half_a_level_above_what_truncates() -> None:
    case = Case("preprocess")
    image = 1.3 * torch.from_numpy(parity.synth().synthetic_noise("pre.float", (3, 16, 16))).double()

    def written(values: Tensor) -> Tensor:
        return torch.from_numpy(np.array(to_image(values)))

    case.assert_equal("nvidia_u8", written(image))
    # pSp's family and NVIDIA's projector truncate (x + 1) * 127.5: half a level, 1 / 255, below rounding.
    for name in ("tensor2im", "projector_u8"):
        case.assert_equal(name, written(image - 1 / 255))


def test_pictures_are_pooled_as_the_encoders() -> None:
    case = Case("preprocess")
    big: Tensor = torch.from_numpy(parity.synth().synthetic_noise("pre.big", (1, 3, 1024, 1024)))
    found = pooled(big, 256)
    case.assert_close("face_pool_1024", found)
    case.assert_close("area_1024", found)  # the projectors average by areas, which is the same pool
