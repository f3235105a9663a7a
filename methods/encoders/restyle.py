"""ReStyle: the encoder looks several times, at the image beside its own last reconstruction, and adds a residual.

Reference: Alaluf et al., "ReStyle", arXiv 2104.02699; yuval-alaluf/restyle-encoder@5e80276. The first partner is
the average image. Every pass has a loss of its own and no gradient runs from one pass to the next. The released
encoders look five times; the embedded ones three times, which at an equal budget of passes see more images.
"""

from methods.base import MethodInfo
from methods.encoders import e4e
from methods.encoders.backbone import Flat
from methods.encoders.design import Design
from methods.encoders.stage import EncoderStage, EncoderStageConfig

PSP_DESIGN = Design(Flat, deltas=False, iterations=3)
E4E_DESIGN = Design(Flat, deltas=True, iterations=3)
PSP_TRAINING: dict[str, object] = {}
E4E_TRAINING = e4e.TRAINING


class ReStylePsp(EncoderStage):
    """Residuals with independent rows."""

    design = PSP_DESIGN
    config: EncoderStageConfig
    info = MethodInfo(
        name="restyle_psp",
        title="ReStyle (pSp)",
        version=1,
        paper="Alaluf et al., ReStyle, arXiv 2104.02699",
        year=2021,
        code="yuval-alaluf/restyle-encoder@5e80276",
        licence="MIT",
        space="W+",
        note="re-implemented and trained by this suite",
    )


class ReStyleE4e(EncoderStage):
    """Residuals of w and deltas; deltas, critic and progressive training as e4e's."""

    design = E4E_DESIGN
    config: EncoderStageConfig
    info = MethodInfo(
        name="restyle_e4e",
        title="ReStyle (e4e)",
        version=1,
        paper="Alaluf et al., ReStyle, arXiv 2104.02699; Tov et al., arXiv 2102.02766",
        year=2021,
        code="yuval-alaluf/restyle-encoder@5e80276",
        licence="MIT",
        space="W+",
        note="re-implemented and trained by this suite",
    )
