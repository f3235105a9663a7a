"""ReStyle: refinement steps of an encoder that sees the image beside its last reconstruction and adds a residual.

Reference: Alaluf et al., "ReStyle", arXiv 2104.02699; yuval-alaluf/restyle-encoder@5e80276. The first partner is
the average image. Every step has a loss of its own and no gradient runs from one step to the next. The released
encoders have five steps; the bundled ones have three, which at an equal budget see more images.
"""

from methods.base import MethodInfo
from methods.encoders.designs import DESIGNS
from methods.encoders.stage import EncoderStage


class ReStylePsp(EncoderStage):
    """Residuals with independent layers."""

    design = DESIGNS["restyle_psp"]
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
    """Residuals of w and deltas; deltas, discriminator and progressive training as e4e's."""

    design = DESIGNS["restyle_e4e"]
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
