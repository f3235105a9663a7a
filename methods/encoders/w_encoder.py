"""HyperStyle's W encoder: one code for all layers, where its hypernetwork begins.

Reference: Alaluf et al., HyperStyle, arXiv 2111.15666, section 3.1; yuval-alaluf/hyperstyle@21193fb
models/encoders/w_encoder.py. Losses as pSp's.
"""

from methods.base import MethodInfo
from methods.encoders.designs import DESIGNS
from methods.encoders.stage import EncoderStage


class HyperStyleW(EncoderStage):
    """One pass of the W encoder."""

    design = DESIGNS["hyperstyle_w_encoder"]
    info = MethodInfo(
        name="hyperstyle_w_encoder",
        title="HyperStyle's W encoder",
        version=1,
        paper="Alaluf et al., HyperStyle: StyleGAN Inversion with HyperNetworks for Real Image Editing, "
        "arXiv 2111.15666",
        year=2021,
        code="yuval-alaluf/hyperstyle@21193fb",
        licence="MIT",
        space="W",
        note="re-implemented",
    )
