"""What all encoder stages share: weights by name, fixed batches, and refinement steps at inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from methods.base import Inversion, rendered
from methods.batching import padded
from methods.checkpoints import encoders as published
from methods.checkpoints.trained import TOY, TrainedStage, is_own
from methods.encoders.encoder import Design, Encoder, refine
from methods.encoders.weights import find, load_encoder, toy_encoder
from methods.generators.stylegan2 import Generator


@dataclass(frozen=True)
class EncoderStageConfig:
    """weights: a bundled name, a .safetensors file or a published one (.pt); "" for the stage's own on celeba64, "toy"
    for random ones.

    iterations: refinement steps of an iterative encoder; 0 for as many as its design has. batch_size: images encoded at
    once, fixed (methods/batching.py).
    """

    weights: str = ""
    iterations: int = 0
    batch_size: int = 8


class EncoderStage(TrainedStage):
    """A trained encoder as a stage. Subclasses set `info` and `design`."""

    Config = EncoderStageConfig
    find = staticmethod(find)
    design: ClassVar[Design]
    config: EncoderStageConfig

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        source = self.source(self.config)
        self.encoder: Encoder
        if source == TOY:
            self.encoder = toy_encoder(self.design, generator)
            return
        path = find(source, self.info.name)
        if is_own(path):
            self.encoder = load_encoder(path, self.design, generator)
        else:
            self.encoder = published.load_encoder(path, self.info.name, generator).ready()

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        """One step, or the design's number of refinement steps, on sharp images."""
        parts = images.split(self.config.batch_size)
        latent = torch.cat([self._encode(padded(part, self.padded_size(len(part))))[: len(part)] for part in parts])
        count = self._iterations()
        draft = Inversion(
            ids=tuple(ids),
            latent=latent,
            space=self.info.space,
            image=torch.empty_like(images),
            steps=torch.full((len(ids),), count),
        )
        return rendered(self.generator, draft)

    def _iterations(self) -> int:
        design = self.encoder.design  # a published encoder's number of steps may differ from the stage's
        return self.config.iterations or design.iterations if design.iterative else 1

    @torch.no_grad()
    def _encode(self, images: Tensor) -> Tensor:
        images = self.encoder.preprocess(images)
        if not self.encoder.design.iterative:
            return self.encoder(images)
        *_, last = refine(self.encoder, self.generator, [images] * self._iterations())
        return last.latent
