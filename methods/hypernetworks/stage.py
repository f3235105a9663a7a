"""HyperStyle as a stage: it takes any inversion before it as the pivot and changes the generator for each image.

The W encoder that the authors put before it is a stage of its own, so that other pivots can stand there, and other
stages (pivotal tuning) after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets import assets
from methods.base import Inversion, Method, MethodInfo
from methods.encoders.backbone import SingleCode
from methods.encoders.design import Design, shrunk
from methods.encoders.stage import EncoderStage, EncoderStageConfig
from methods.encoders.weights import OFFICIAL, TOY, file_hash
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import HypernetConfig, Hypernetwork
from methods.hypernetworks.official import STEPS, load_hyperstyle
from methods.hypernetworks.refine import refined

PAPER = "Alaluf et al., HyperStyle: StyleGAN Inversion with HyperNetworks for Real Image Editing, arXiv 2111.15666"
CODE = "yuval-alaluf/hyperstyle@21193fb"


def absent(stage: str, asset: str) -> FileNotFoundError:
    """What a stage says that has no weights: the suite trains none, so they are the authors'."""
    return FileNotFoundError(
        f"{stage} has no weights: this suite has not trained it. Set stage_settings.{stage}.weights to {asset} (the "
        f"authors' file for FFHQ at 1024 px; `python -m benchmarks fetch {asset}` says where it comes from) or to a "
        ".pt file of that format for the generator in use"
    )


class HyperStyleW(EncoderStage):
    """HyperStyle's W encoder: one code for all rows."""

    design = Design(SingleCode, deltas=False)
    config: EncoderStageConfig
    info = MethodInfo(
        name="hyperstyle_w_encoder",
        title="HyperStyle's W encoder",
        version=1,
        paper=PAPER,
        year=2021,
        code=CODE,
        licence="MIT",
        space="W",
        note="re-implemented; runs on the authors' weights",
    )

    @classmethod
    def _source(cls, config: EncoderStageConfig) -> str:
        if not config.weights:
            raise absent(cls.info.name, "faces_w_encoder")
        return config.weights


@dataclass(frozen=True)
class HyperStyleConfig:
    """weights: an asset or the authors' file (.pt); "toy" for random ones. There are none for faces64.

    steps: passes, T = 5 in the paper; 0 leaves the pivot as it is. lanes: images that the network sees together, fixed
    (the last group filled up) so that an image's result does not depend on the batch it came in.
    """

    weights: str = ""
    steps: int = STEPS
    lanes: int = 4


class HyperStyle(Method):
    """Passes of the hypernetwork around the pivot that the stage before found."""

    Config = HyperStyleConfig
    config: HyperStyleConfig
    info = MethodInfo(
        name="hyperstyle",
        title="HyperStyle",
        version=1,
        paper=PAPER,
        year=2021,
        code=CODE,
        licence="MIT",
        space="of the pivot",
        refines=True,
        note="re-implemented; runs on the authors' weights",
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        source = self.config.weights
        if source == TOY:
            self.hypernet = toy_hypernet(generator)
        else:
            self.hypernet = load_hyperstyle(find(source), None, generator).hypernet

    @classmethod
    def weights_hash(cls, config: HyperStyleConfig) -> str:
        return TOY if config.weights == TOY else file_hash(find(config.weights))

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        if self.config.steps == 0:
            return init
        found, lanes = [], self.config.lanes
        for start in range(0, len(ids), lanes):
            part = slice(start, start + lanes)
            shown = shrunk(images[part], self.hypernet.shape.resolution)
            found.append(refined(self.hypernet, self.generator, shown, init[part], self.config.steps, lanes))
        return Inversion(
            ids=tuple(ids),
            latent=init.latent,
            space=init.space,
            image=torch.cat([each.image for each in found]).clamp(-1, 1),
            steps=torch.full((len(ids),), self.config.steps),
            weights=tuple(weights for each in found for weights in each.weights),
            noise=init.noise,
        )


def find(source: str) -> Path:
    """The file of an asset or a path; FileNotFoundError (AssetMissingError) says how to get it."""
    if not source:
        raise absent(HyperStyle.info.name, "hyperstyle_ffhq")
    path = Path(assets.resolve(source))
    if path.suffix not in OFFICIAL or not path.exists():
        raise FileNotFoundError(
            f"no hypernetwork {source!r}: neither an asset nor a {' or '.join(OFFICIAL)} file; "
            "`python -m benchmarks fetch hyperstyle_ffhq` says where the authors' comes from"
        )
    return path


def toy_hypernet(generator: Generator, seed: int = 0) -> Hypernetwork:
    """A small hypernetwork of random weights and small changes: for tests, not for figures."""
    config = HypernetConfig(
        generator.config.channels,
        resolution=min(256, generator.resolution),
        units=(1, 1, 1, 1),
        widths=(8, 8, 8, 8),
        shared_width=8,
        own_width=8,
        code=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hypernet = Hypernetwork(config)
    # So that an image's changes are small, and tell it from another.
    for name, parameter in hypernet.refinement_blocks.named_parameters():
        factor = 3.0 if ".convs." in name else 0.1 if ".output." in name else 1.0
        parameter.data.mul_(factor)
    return hypernet.to(memory_format=torch.channels_last).eval().requires_grad_(False)
