"""Training of HyperStyle's hypernetwork around the codes of a frozen W encoder, as one Lightning module.

Reference: Alaluf et al., HyperStyle, arXiv 2111.15666, section 3.4; yuval-alaluf/hyperstyle@21193fb
training/coach_hyperstyle.py: a loss at every refinement step, no gradient from one to the next, one step of the
optimizer for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from methods.base import Inversion, rendered
from methods.encoders.encoder import Encoder
from methods.encoders.weights import encoder_for
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import STEPS, HypernetConfig, Hypernetwork
from methods.hypernetworks.refine import last_step, refine_together
from methods.hypernetworks.weights import fresh_hypernet, load_hypernet, save_hypernet
from methods.resizing import pooled
from methods.training.base import EmaTraining, NetworkTrainingConfig, Reconstruction
from methods.training.losses import reconstruction_terms


@dataclass(frozen=True, kw_only=True)
class HyperStyleTrainingConfig(NetworkTrainingConfig):
    """Settings of `python -m benchmarks train hyperstyle`.

    iterations: T, refinement steps of each image. w_encoder: whose codes are the pivots; "" for the one trained for
    the generator, "toy" for a random one.
    """

    w_encoder: str = ""
    iterations: int = STEPS
    ema: float = 0.98
    name: str = "hyperstyle"

    @property
    def cost(self) -> float:
        return self.iterations


def pivots_of(config: HyperStyleTrainingConfig, generator: Generator) -> Encoder:
    """The frozen W encoder. Raises FileNotFoundError that says how to train it."""
    return encoder_for("hyperstyle_w_encoder", config.w_encoder, config.generator, generator)


class HyperStyleTraining(EmaTraining):
    """The hypernetwork and its average; generator and W encoder are frozen."""

    network_name = "hypernet"
    replayable = True
    hypernet: Hypernetwork
    config: HyperStyleTrainingConfig

    def __init__(self, config: HyperStyleTrainingConfig, generator: Generator):
        super().__init__(config, generator, fresh_hypernet(generator, config.seed))
        self.w_encoder = pivots_of(config, generator)

    @property
    def default_name(self) -> str:
        return "hyperstyle"

    @property
    def shape(self) -> HypernetConfig:
        return self.hypernet.shape

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Summed over the refinement steps; identity at the last one only."""
        images, count = batch["images"], self.config.iterations
        target = self.hypernet.preprocess(images)
        codes = pivots(self.w_encoder, images).latent
        terms: dict[str, Tensor] = {}
        for n, image in enumerate(refine_together(self.hypernet, self.generator, target, codes, count)):
            more = reconstruction_terms(
                pooled(image, target.shape[-1]), target, self.config.losses, identity=n == count - 1
            )
            terms |= {name: terms[name] + value if name in terms else value for name, value in more.items()}
        return terms

    def reconstruct(self, network: Hypernetwork | None, images: Tensor) -> Reconstruction:
        image = inverted(network, self.w_encoder, self.generator, images, self.config.iterations)
        return Reconstruction(pivots(self.w_encoder, images).latent, image, images)

    def save(self, path: Path, card: dict[str, str]) -> None:
        save_hypernet(self.average, self.generator, path, half=True, card=card)

    def load(self, path: Path) -> Hypernetwork:
        return load_hypernet(path, self.generator)

    def compared(self, stored: Hypernetwork) -> dict[str, Hypernetwork | None]:
        return {"the pivot alone": None, **super().compared(stored)}


@torch.no_grad()
def pivots(encoder: Encoder, images: Tensor) -> Inversion:
    """The W encoder's codes of images [N, 3, R, R]; the image is the target itself, which no step uses."""
    codes = encoder(encoder.preprocess(images))
    return Inversion(tuple(map(str, range(len(images)))), codes, "W", images, torch.zeros(len(images)))


@torch.no_grad()
def inverted(
    hypernet: Hypernetwork | None, encoder: Encoder, generator: Generator, images: Tensor, count: int
) -> Tensor:
    """Images after so many refinement steps, or of the pivots alone, clamped."""
    start = pivots(encoder, images)
    if hypernet is None:
        return rendered(generator, start).image
    target = hypernet.preprocess(images)
    return last_step(hypernet, generator, target, start, count, batch_size=len(images)).image.clamp(-1, 1)
