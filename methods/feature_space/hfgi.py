"""HFGI as a stage: it keeps the code of the stage before and changes one map of the generator by what the code lacks.

Reference: Wang et al., "High-Fidelity GAN Inversion for Image Attribute Editing", arXiv 2109.06590. What an image
stores is the difference between target and image of the code. For an edit the difference is aligned with the image of
the new code, and the map's change is computed again.
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
from methods.base import Inversion, MethodInfo, render, rendered
from methods.checkpoints.hfgi import load_hfgi
from methods.checkpoints.trained import TOY, TrainedStage, is_own
from methods.feature_maps import FeatureEdit
from methods.feature_space import weights
from methods.feature_space.hfgi_network import HfgiConfig, HfgiNetworks, seen
from methods.generators.stylegan2 import Generator

KIND = "hfgi"
RESIDUAL = "residual"  # target minus image of the code, at the networks' side
# At 64 px: 0.4 million parameters for celeba64, half of them in the heads.
SMALL: dict[str, Any] = {"align": (8, 16, 24, 32), "residue": (16, 24, 32)}
TINY: dict[str, Any] = {"align": (4, 4, 4, 4), "residue": (4, 4, 4)}


def recompute(edit: FeatureEdit, codes: Tensor, generator: Generator) -> dict[str, Tensor]:
    """The rule "hfgi": the change of the map at codes [N, num_ws, w_dim]."""
    network = weights.network_of(edit.network, KIND, generator, read).to(codes)
    residual = edit.tensors[RESIDUAL].to(codes).expand(len(codes), -1, -1, -1)
    change: dict[str, Tensor] = network(residual, seen(generator.synthesis(codes), residual.shape[-1]))
    return change


def read(source: str, generator: Generator) -> HfgiNetworks:
    """The networks of a source in eval mode. Raises FileNotFoundError, or ValueError for what does not fit."""
    if source == TOY:
        return toy(generator)
    path = weights.find(source, KIND)
    return load(path, generator) if is_own(path) else load_hfgi(path, generator)


def load(path: Path, generator: Generator) -> HfgiNetworks:
    """Networks that this suite trained. Raises ValueError that names the file and the fix."""
    networks = weights.load(path, KIND, lambda shape: HfgiNetworks(HfgiConfig(**shape)), generator)
    with reading(path, KIND):
        networks.shape.check(generator)
    return networks


def config_for(generator: Generator, layer: int = 0, **shape: Any) -> HfgiConfig:
    """A shape for a generator; layer: 0 for the first map at a quarter of what the networks see, as published."""
    side = min(256, generator.resolution)
    layer = layer or 2 * (side.bit_length() - 5)
    if not 1 <= layer < generator.num_ws:
        raise ValueError(f"layer must be 1 to {generator.num_ws - 1}, found {layer}")
    return HfgiConfig(side, layer, generator.config.channels[layer // 2], **shape)


def toy(generator: Generator, seed: int = 0) -> HfgiNetworks:
    """Small networks of random weights: for tests, not for figures."""
    return weights.seeded(lambda: HfgiNetworks(config_for(generator, **TINY)), seed).eval().requires_grad_(False)


def fresh(generator: Generator, layer: int, seed: int) -> HfgiNetworks:
    """Untrained networks of the bundled size, whose change begins near zero."""
    network = weights.seeded(lambda: HfgiNetworks(config_for(generator, layer, **SMALL)), seed)
    for name, parameter in network.residue.named_parameters():
        if name.startswith("condition_") and name.endswith(".2.weight"):
            parameter.data.mul_(0.1)
    return network


@dataclass(frozen=True)
class HfgiStageConfig:
    """weights: a bundled name, a .safetensors file or the authors' file (.pt); "" for the networks trained for
    celeba64, "toy" for random ones.
    """

    weights: str = ""


class Hfgi(TrainedStage):
    """One pass of the networks around the code of the stage before."""

    Config = HfgiStageConfig
    find = staticmethod(weights.find)
    config: HfgiStageConfig
    info = MethodInfo(
        name=KIND,
        title="HFGI",
        version=1,
        paper="Wang et al., High-Fidelity GAN Inversion for Image Attribute Editing, arXiv 2109.06590",
        year=2022,
        code="Tengfei-Wang/HFGI@e30f33c",
        licence="none stated",
        space="of the pivot",
        refines=True,
        note="re-implemented from the paper; the released repository has no licence",
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        self.reference = weights.reference(self.source(self.config), KIND, generator)
        self.networks = weights.network_of(self.reference, KIND, generator, read)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        """The change of the map is that which the rule gives for the code, from what is stored for the image."""
        assert init is not None  # checked in `check`
        side, layer = self.networks.shape.resolution, self.networks.shape.layer
        residuals = (resized(images, side) - seen(render(self.generator, init), side)).half()
        features = tuple(
            (FeatureEdit(layer, "affine", {RESIDUAL: each}, KIND, self.reference),) for each in residuals.split(1)
        )
        steps = torch.ones(len(ids), dtype=torch.long)
        return rendered(self.generator, replace(init, ids=tuple(ids), steps=steps, features=features))
