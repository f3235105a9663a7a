"""LSAP: e4e's encoder, trained to keep its styles near those of the generator's own codes (methods.style_space)."""

from methods.base import MethodInfo
from methods.encoders.designs import DESIGNS
from methods.encoders.stage import EncoderStage


class Lsap(EncoderStage):
    """One pass of the LSAP encoder."""

    design = DESIGNS["lsap"]
    info = MethodInfo(
        name="lsap",
        title="LSAP",
        version=1,
        paper="Cao et al., LSAP: Rethinking Inversion Fidelity, Perception and Editability in GAN Latent Space, "
        "arXiv 2209.12746",
        year=2022,
        code="caopulan/GANInverter@e3d5d4d",
        licence="MIT",
        space="W+",
        note="re-implemented and trained by this suite",
    )
