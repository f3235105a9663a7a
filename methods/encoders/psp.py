"""pSp: a feature pyramid, every W+ layer from a style block of its own.

Reference: Richardson et al., "Encoding in Style", arXiv 2008.00951; eladrich/pixel2style2pixel@5cfff38.
Losses of the inversion task: 1 L2 + 0.8 LPIPS (AlexNet) + 0.1 identity.
"""

from methods.base import MethodInfo
from methods.encoders.designs import DESIGNS
from methods.encoders.stage import EncoderStage


class PSp(EncoderStage):
    """One pass of the pSp encoder."""

    design = DESIGNS["psp"]
    info = MethodInfo(
        name="psp",
        title="pSp",
        version=1,
        paper="Richardson et al., Encoding in Style, arXiv 2008.00951",
        year=2021,
        code="eladrich/pixel2style2pixel@5cfff38",
        licence="MIT",
        space="W+",
        note="re-implemented and trained by this suite",
    )
