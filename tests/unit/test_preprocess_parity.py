"""How pictures are resized and written, against the released code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.images import to_image
from methods.encoders.design import pooled, shrunk
from tests import parity
from tests.parity import Case


@pytest.mark.parametrize("size", ["1024x1024", "512x512", "320x200", "96x96"])
def test_encoders_see_what_pillow_resizes(size: str) -> None:
    case, (height, width) = Case("preprocess"), map(int, size.split("x"))
    pixels = parity.synth().synthetic_image_u8(f"pre.{size}", height, width, 1)[0]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 127.5 - 1
    found = (shrunk(images, 256)[0] + 1) * 127.5
    wanted = case[f"out_resized_{size}"].double()
    step = 256 // wanted.shape[-1]
    # Pillow rounds to 8 bits after each of its two passes; a tensor is not rounded.
    assert float((found[:, ::step, ::step] - wanted).abs().max()) <= 1.01


def test_pictures_are_written_as_ptis_and_pooled_as_the_encoders() -> None:
    case = Case("preprocess")
    image = 1.3 * torch.from_numpy(parity.synth().synthetic_noise("pre.float", (3, 16, 16)))
    assert np.array_equal(np.asarray(to_image(image)), case.arrays["out_nvidia_u8"])
    big: Tensor = torch.from_numpy(parity.synth().synthetic_noise("pre.big", (1, 3, 1024, 1024)))
    found = pooled(big, 256)
    torch.testing.assert_close(found[..., ::8, ::8].double(), case["out_face_pool_1024_s"], rtol=0, atol=5.3e-6)
    torch.testing.assert_close(found[..., :16, :16].double(), case["out_face_pool_1024_c"], rtol=0, atol=5.3e-6)
    # The projectors average by areas, which is the same pool.
    torch.testing.assert_close(found[..., ::8, ::8].double(), case["out_area_1024_s"], rtol=0, atol=5.3e-6)
    torch.testing.assert_close(found[..., :16, :16].double(), case["out_area_1024_c"], rtol=0, atol=5.3e-6)
