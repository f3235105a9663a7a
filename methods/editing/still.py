"""Where an edit should change nothing, and how well an edited image keeps its input there.

PIE-Bench (Ju et al., arXiv 2310.01506) measures what lies outside masks drawn by hand. Here the generator itself says
it: the half of the pixels that the same edit changes least on its own samples.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from methods.editing.directions import Direction, apply
from methods.editing.images import BATCH, eight_bit
from methods.generators.stylegan2 import Generator
from metrics.editing import STEP, STILL_SAMPLES
from metrics.region import masked_lpips_alex, masked_psnr


@torch.no_grad()
def still_masks(generator: Generator, directions: Mapping[str, Direction]) -> dict[str, Tensor]:
    """Masks [1, 1, R, R] by attribute: 1 on the half of the pixels that the direction changes least, else 0."""
    device = generator.w_mean.device
    z = torch.randn(STILL_SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    codes = generator.mapping(z).split(BATCH)
    before = [eight_bit(generator.synthesis(code)) for code in codes]
    masks = {}
    for name, direction in directions.items():
        change = torch.zeros_like(before[0][:1, :1])
        for sign in (-1, 1):
            for code, image in zip(codes, before, strict=True):
                moved = eight_bit(generator.synthesis(apply(code, {name: sign * STEP}, directions)))
                change += (moved - image).abs().sum(dim=(0, 1), keepdim=True)
        masks[direction.attribute] = (change <= change.median()).to(change.dtype)
    return masks


def kept_still(images: Tensor, targets: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """PSNR, SSIM (mean of its map over the mask) and LPIPS (AlexNet, of the masked images), each [N].

    Args:
        images, targets: [N, 3, R, R] in [-1, 1].
        masks: [N, 1, R, R], 1 where nothing should change.
    """
    _, similar = structural_similarity_index_measure(images, targets, data_range=2.0, return_full_image=True)
    assert isinstance(similar, Tensor)
    return {
        "psnr": masked_psnr(images, targets, masks),
        "ssim": (masks * similar).flatten(1).sum(dim=1) / (similar.shape[1] * masks.flatten(1).sum(dim=1)),
        "lpips_alex": masked_lpips_alex(images, targets, masks),
    }
