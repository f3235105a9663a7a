"""HyperStyle as a stage: it takes any inversion before it as the pivot and changes the generator for each image.

The W encoder that the authors put before it is a stage of its own, so that other pivots can stand there, and other
stages (pivotal tuning) after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from methods.base import Inversion, MethodInfo
from methods.batching import slices
from methods.checkpoints.hyperstyle import load_hyperstyle
from methods.checkpoints.trained import TOY, TrainedStage, is_own
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import STEPS
from methods.hypernetworks.refine import last_step
from methods.hypernetworks.weights import find, load_hypernet, toy_hypernet


@dataclass(frozen=True)
class HyperStyleConfig:
    """weights: a bundled name, a .safetensors file, an asset or the authors' file (.pt); "" for the one trained for
    celeba64, "toy" for random ones.

    steps: refinement steps, T = 5 in the paper; 0 leaves the pivot as it is. batch_size: images of one call,
    fixed (methods/batching.py).
    """

    weights: str = ""
    steps: int = STEPS
    batch_size: int = 4


class HyperStyle(TrainedStage):
    """Refinement steps of the hypernetwork around the pivot of the stage before."""

    Config = HyperStyleConfig
    find = staticmethod(find)
    config: HyperStyleConfig
    info = MethodInfo(
        name="hyperstyle",
        title="HyperStyle",
        version=1,
        paper="Alaluf et al., HyperStyle: StyleGAN Inversion with HyperNetworks for Real Image Editing, "
        "arXiv 2111.15666",
        year=2021,
        code="yuval-alaluf/hyperstyle@21193fb",
        licence="MIT",
        space="of the pivot",
        refines=True,
        note="re-implemented",
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        source = self.source(self.config)
        if source == TOY:
            self.hypernet = toy_hypernet(generator)
            return
        path = find(source)
        if is_own(path):
            self.hypernet = load_hypernet(path, generator)
        else:
            self.hypernet = load_hyperstyle(path, None, generator).hypernet

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        assert init is not None  # checked in `check`
        if self.config.steps == 0:
            return init
        results, size = [], self.config.batch_size
        for part in slices(len(ids), size):
            targets = self.hypernet.preprocess(images[part])
            fixed = self.padded_size(len(targets))
            results.append(last_step(self.hypernet, self.generator, targets, init[part], self.config.steps, fixed))
        return Inversion(
            ids=tuple(ids),
            latent=init.latent,
            space=init.space,
            image=torch.cat([result.image for result in results]).clamp(-1, 1),
            steps=torch.full((len(ids),), self.config.steps),
            weights=tuple(weights for result in results for weights in result.weights),
            noise=init.noise,
        )
