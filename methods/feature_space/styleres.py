"""StyleRes as a stage: it keeps the code of the stage before and adds what e4e's own map of the image has beyond it.

Reference: Pehlivan et al., "StyleRes: Transforming the Residuals for Real Image Editing with StyleGAN", arXiv
2212.14359. What an image stores is a residual that no edit changes. A second network sees the generator's map of the
code at hand, and makes of it what is added there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.checkpoints import reading
from datasets.images import resized
from methods.base import Inversion, MethodInfo, rendered
from methods.checkpoints.styleres import load_styleres
from methods.checkpoints.trained import TOY, TrainedStage, is_own
from methods.encoders.encoder import Encoder
from methods.feature_maps import FeatureEdit
from methods.feature_space import weights
from methods.feature_space.styleres_network import StyleResConfig, StyleResNetworks
from methods.generators.stylegan2 import Generator

KIND = "styleres"
RESIDUAL = "residual"
# At 64 px: 0.8 million parameters for celeba64 beside e4e's first levels.
SMALL: dict[str, Any] = {"width": 48}
TINY: dict[str, Any] = {"width": 4, "units": (1, 1), "widths": (4, 4)}


def recompute(edit: FeatureEdit, codes: Tensor, generator: Generator) -> dict[str, Tensor]:
    """The rule "styleres": what is added to the map at codes [N, num_ws, w_dim]."""
    networks = weights.network_of(edit.network, KIND, generator, read).to(codes)
    own = generator.feature_map(codes, edit.layer)
    return {"map": networks.change(own, edit.tensors[RESIDUAL].to(codes).expand(len(codes), -1, -1, -1))}


def read(source: str, generator: Generator) -> StyleResNetworks:
    """The networks of a source in eval mode. Raises FileNotFoundError, or ValueError for what does not fit."""
    if source == TOY:
        return toy(generator)
    path = weights.find(source, KIND)
    return load(path, generator) if is_own(path) else load_styleres(path, generator)


def load(path: Path, generator: Generator) -> StyleResNetworks:
    """Networks that this suite trained. Raises ValueError that names the file and the fix."""
    networks = weights.load(path, KIND, lambda shape: StyleResNetworks(StyleResConfig(**shape)), generator)
    with reading(path, KIND):
        networks.shape.check(generator)
    return networks


def config_for(generator: Generator, **shape: Any) -> StyleResConfig:
    """The shape for a generator; by default its map at a quarter of what e4e sees, as published."""
    config = StyleResConfig(min(256, generator.resolution), **shape)
    return replace(config, channels=generator.config.channels[config.layer // 2])


def toy(generator: Generator, seed: int = 0) -> StyleResNetworks:
    """Small networks of random weights: for tests, not for figures."""
    config = config_for(generator, **TINY)
    return weights.seeded(lambda: StyleResNetworks(config), seed).eval().requires_grad_(False)


@torch.no_grad()
def fresh(generator: Generator, e4e: Encoder, levels: int, seed: int) -> StyleResNetworks:
    """Untrained networks of the bundled size behind e4e's first levels; what they add begins small.

    Raises ValueError for a number of levels that e4e does not have.
    """
    units, widths = e4e.config.units, e4e.config.widths
    if not 1 <= levels <= len(units):
        raise ValueError(f"levels must be 1 to {len(units)}, found {levels}")
    config = config_for(generator, units=units[:levels], widths=widths[:levels], **SMALL)
    networks = weights.seeded(lambda: StyleResNetworks(config), seed)
    state = e4e.encoder.state_dict()
    networks.encoder.load_state_dict({key: state[key] for key in networks.encoder.state_dict()})
    networks.encoder.eval().requires_grad_(False)
    for parameter in networks.gates.convs[-1].parameters():
        parameter.mul_(0.1)
    return networks


@dataclass(frozen=True)
class StyleResStageConfig:
    """weights: a bundled name, a .safetensors file or the authors' file (.pth); "" for the networks trained for
    celeba64, "toy" for random ones.
    """

    weights: str = ""


class StyleRes(TrainedStage):
    """One pass of the networks around the code of the stage before, which should be e4e's."""

    Config = StyleResStageConfig
    find = staticmethod(weights.find)
    config: StyleResStageConfig
    info = MethodInfo(
        name=KIND,
        title="StyleRes",
        version=1,
        paper="Pehlivan et al., StyleRes: Transforming the Residuals for Real Image Editing with StyleGAN, arXiv "
        "2212.14359",
        year=2023,
        code="hamzapehlivan/StyleRes@9c62ab7",
        licence="NVIDIA's, non-commercial",
        space="of the pivot",
        refines=True,
        note="re-implemented from the paper, which does not give its training's weights of losses",
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        self.reference = weights.reference(self.source(self.config), KIND, generator)
        self.networks = weights.network_of(self.reference, KIND, generator, read)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        """What is added is that which the rule gives for the code, from what is stored for the image."""
        assert init is not None  # checked in `check`
        layer = self.networks.shape.layer
        pairs = zip(images.split(1), init.latent.split(1), strict=True)
        residuals = [self._residual(image, code) for image, code in pairs]
        features = tuple((FeatureEdit(layer, "add", {RESIDUAL: each}, KIND, self.reference),) for each in residuals)
        steps = torch.ones(len(ids), dtype=torch.long)
        return rendered(self.generator, replace(init, ids=tuple(ids), steps=steps, features=features))

    @torch.no_grad()
    def _residual(self, image: Tensor, code: Tensor) -> Tensor:
        """Of one image [1, 3, R, R], in half precision; one at a time, so that no other image's digits depend on it."""
        shape = self.networks.shape
        own = self.generator.feature_map(code, shape.layer)
        residual: Tensor = self.networks(resized(image, shape.resolution), own)
        return residual.half()
