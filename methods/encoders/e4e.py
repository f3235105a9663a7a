"""e4e: one w for all rows, deltas that grow late and stay small, and a critic that asks whether rows look like W.

Reference: Tov et al., "Designing an Encoder for StyleGAN Image Manipulation", arXiv 2102.02766 (section 4);
omertov/encoder4editing@99ea505. Losses: pSp's, 2e-4 times the norm of the deltas, 0.1 times the latent critic.
"""

from torch import Tensor

from methods.base import MethodInfo
from methods.encoders.backbone import Pyramid
from methods.encoders.design import Design
from methods.encoders.stage import EncoderStage, EncoderStageConfig

DESIGN = Design(Pyramid, deltas=True)
TRAINING: dict[str, object] = {"delta_norm": 2e-4, "adversarial": 0.1, "progressive": True}
# 20,000 of 200,000 steps with w alone, then one delta more every 2,000 (README of the released code).
FIRST_DELTA, EACH_DELTA = 0.10, 0.01


def progressive_stage(progress: float, num_ws: int) -> int:
    """Rows that have a delta when this share of the training is done."""
    if progress < FIRST_DELTA:
        return 0
    return min(num_ws - 1, 1 + int((progress - FIRST_DELTA) / EACH_DELTA + 1e-9))


def delta_norm(latent: Tensor, stage: int) -> Tensor:
    """Sum over the active rows of the batch's mean L2 distance to row 0; latent [N, num_ws, w_dim] -> scalar."""
    deltas = latent[:, 1 : stage + 1] - latent[:, :1]
    return deltas.norm(dim=2).mean(dim=0).sum()


class E4e(EncoderStage):
    """One pass of the e4e encoder."""

    design = DESIGN
    config: EncoderStageConfig
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
