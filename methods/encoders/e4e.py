"""e4e: one w for all layers, late and small deltas, and a discriminator that asks whether layers look like W.

Reference: Tov et al., "Designing an Encoder for StyleGAN Image Manipulation", arXiv 2102.02766 (section 4);
omertov/encoder4editing@99ea505. Losses: pSp's, 2e-4 times the norm of the deltas, 0.1 times the latent discriminator.
"""

from torch import Tensor

from methods.base import MethodInfo
from methods.encoders.designs import DESIGNS
from methods.encoders.stage import EncoderStage

# 20,000 of 200,000 steps with w alone, then one delta more every 2,000 (README of the released code).
FIRST_DELTA, EACH_DELTA = 0.10, 0.01


def deltas_in_use(progress: float, num_ws: int) -> int:
    """Layers that have a delta when this fraction of the training is done."""
    if progress < FIRST_DELTA:
        return 0
    return min(num_ws - 1, 1 + int((progress - FIRST_DELTA) / EACH_DELTA + 1e-9))


def delta_norm(latent: Tensor, num_deltas: int) -> Tensor:
    """Sum over layers with a delta of the mean L2 distance to layer 0; latent [N, num_ws, w_dim] -> scalar."""
    deltas = latent[:, 1 : num_deltas + 1] - latent[:, :1]
    return deltas.norm(dim=2).mean(dim=0).sum()


class E4e(EncoderStage):
    """One pass of the e4e encoder."""

    design = DESIGNS["e4e"]
    info = MethodInfo(
        name="e4e",
        title="e4e",
        version=1,
        paper="Tov et al., Designing an Encoder for StyleGAN Image Manipulation, arXiv 2102.02766",
        year=2021,
        code="omertov/encoder4editing@99ea505",
        licence="MIT",
        space="W+",
        note="re-implemented and trained by this suite",
    )
