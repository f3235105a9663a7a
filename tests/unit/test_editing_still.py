"""Where an edit should change nothing: masks from the generator's own samples, and measures inside of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.editing.directions import Direction
from methods.editing.still import kept_still, still_masks
from methods.generators import load_generator
from metrics.editing import STEP


def test_masks_leave_out_what_the_direction_changes() -> None:
    generator = load_generator("toy")
    vector = torch.zeros(generator.num_ws, generator.w_dim)
    vector[:2] = torch.randn(2, generator.w_dim, generator=torch.Generator().manual_seed(3))
    one = Direction("a", "yaw", vector, slope=1.0)
    masks = still_masks(generator, {"a": one, "b": replace(one, name="b", attribute="smile", vector=0 * vector)})
    mask = masks["yaw"]
    assert mask.shape == (1, 1, 64, 64) and 0.5 <= mask.mean() <= 0.52
    assert masks["smile"].all(), "where nothing changes anywhere, everything should stay"
    w = generator.mapping(torch.randn(32, generator.z_dim, generator=torch.Generator().manual_seed(5)))
    with torch.no_grad():
        change = (generator.synthesis(w + STEP * vector) - generator.synthesis(w)).abs().mean(dim=(0, 1))
    assert change[mask[0, 0] == 1].mean() < 0.8 * change[mask[0, 0] == 0].mean(), "samples that the mask has not seen"


def test_only_what_lies_inside_the_mask_counts() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    other = image.clone()
    other[..., 44:] *= -1
    same = kept_still(other, image, mask)
    assert same["psnr"] == 100 and same["lpips_alex"] == 0
    assert same["ssim"] == pytest.approx(1, abs=1e-5), "SSIM's window reaches 5 pixels over the border"
    moved = image.clone()
    moved[..., :32] += 0.2
    assert kept_still(moved, image, mask)["psnr"] == pytest.approx(20, abs=1e-3)  # 10 log10(4 / 0.04)
    assert kept_still(moved, image, mask)["ssim"] < 1 and kept_still(moved, image, mask)["lpips_alex"] > 0
