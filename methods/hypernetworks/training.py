"""Training of HyperStyle's hypernetwork around the codes of a frozen W encoder, as one Lightning module.

Reference: Alaluf et al., HyperStyle, arXiv 2111.15666, section 3.4; yuval-alaluf/hyperstyle@21193fb
training/coach_hyperstyle.py: a loss at every pass, no gradient from one to the next, one step of the optimiser for all.
No random number comes from a global stream, so that a resumed training gives the weights of an undisturbed one.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from methods.base import Inversion, rendered
from methods.encoders import w_encoder
from methods.encoders.design import Encoder, pooled, shrunk
from methods.encoders.losses import LossWeights, reconstruction_terms
from methods.encoders.shared_norm import share_batch_norms
from methods.encoders.training import figures, save_sheet
from methods.encoders.weights import TOY, load_encoder, toy_encoder
from methods.encoders.weights import find as find_encoder
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import Hypernetwork
from methods.hypernetworks.official import STEPS
from methods.hypernetworks.refine import passes, refined
from methods.hypernetworks.weights import fresh_hypernet


@dataclass(frozen=True)
class HyperStyleTrainingConfig:
    """Settings of `python -m benchmarks train hyperstyle`.

    budget: passes of hypernetwork and generator, forward and backward, over all processes: comparable with that of the
    encoders. passes: T, looks at each image. w_encoder: whose codes are the pivots; "" for the one trained for the
    generator, "toy" for a random one. The released training uses Ranger at 1e-4; as with the encoders, Adam, a higher
    rate and a cosine down to zero stand for it.
    """

    generator: str = "faces64"
    w_encoder: str = ""
    budget: int = 32_000
    batch: int = 8
    passes: int = STEPS
    synthetic: float = 0.25
    draws: int = 48_000
    lr: float = 1e-3
    warmup: float = 0.05  # share of the budget
    ema: float = 0.98
    losses: LossWeights = field(default_factory=LossWeights)
    name: str = "hyperstyle"  # of the exported files
    seed: int = 0


def pivots_of(config: HyperStyleTrainingConfig, generator: Generator) -> Encoder:
    """The frozen W encoder. Raises FileNotFoundError that says how to train it."""
    if config.w_encoder == TOY:
        return toy_encoder(w_encoder.DESIGN, generator)
    source = config.w_encoder or f"hyperstyle_w_encoder-{Path(config.generator).stem}"
    return load_encoder(find_encoder(source, "hyperstyle_w_encoder"), w_encoder.DESIGN, generator)


class HyperStyleTraining(pl.LightningModule):
    """The hypernetwork and its moving average under manual optimisation; generator and W encoder are frozen."""

    steps: Tensor

    def __init__(self, config: HyperStyleTrainingConfig, generator: Generator):
        super().__init__()
        self.save_hyperparameters(asdict(config))
        self.automatic_optimization = False
        self.config = config
        self.generator = generator.eval().requires_grad_(False)
        self.w_encoder = pivots_of(config, generator)
        self.hypernet = fresh_hypernet(generator, config.seed)
        self.ema = copy.deepcopy(self.hypernet).requires_grad_(False).eval()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @property
    def total_steps(self) -> int:
        world = self.trainer.world_size if self._trainer else 1
        return math.ceil(self.config.budget / (self.config.passes * self.config.batch * world))

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            share_batch_norms(self.hypernet)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.hypernet.parameters(), lr=self.config.lr)

    def training_step(self, batch: dict[str, Tensor], index: int) -> None:
        optimiser = cast(Any, self.optimizers())
        done = int(self.steps) / self.total_steps
        warm = min(1.0, (done + 1e-3) / self.config.warmup) if self.config.warmup else 1.0
        optimiser.param_groups[0]["lr"] = self.config.lr * warm * 0.5 * (1 + math.cos(math.pi * done))
        terms = self._terms(batch["images"])
        total = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        self.manual_backward(total)
        optimiser.step()
        self._average()
        self.log_dict({name: value.detach() for name, value in terms.items()}, sync_dist=True)
        self.log("loss", total.detach(), prog_bar=True, sync_dist=True)
        self.steps += 1
        self.log("images", float(self.steps) * self.config.batch * self.trainer.world_size, prog_bar=True)
        if int(self.steps) >= self.total_steps:
            self.trainer.should_stop = True

    def _terms(self, images: Tensor) -> dict[str, Tensor]:
        """The weighted loss terms of images [N, 3, R, R], summed over the passes; identity at the last one only."""
        shown, count = shrunk(images, self.hypernet.shape.resolution), self.config.passes
        start = pivots(self.w_encoder, images)
        terms: dict[str, Tensor] = {}
        for n, each in enumerate(passes(self.hypernet, self.generator, shown, start, count, batch_size=len(images))):
            picture = pooled(each.image, shown.shape[-1])
            for name, value in reconstruction_terms(
                picture, shown, self.config.losses, identity=n == count - 1
            ).items():
                terms[name] = terms[name] + value if name in terms else value
        return terms

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.ema, (1 + int(self.steps)) / (10 + int(self.steps)))
        # Not by the state dict, in which the matrices that heads share stand once a head.
        ours, theirs = self.ema, self.hypernet
        for average, current in zip(
            (*ours.parameters(), *ours.buffers()), (*theirs.parameters(), *theirs.buffers()), strict=True
        ):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(current)

    def validation_step(self, batch: tuple[Tensor], index: int) -> None:
        images = batch[0]
        result = inverted(self.ema, self.w_encoder, self.generator, images, self.config.passes)
        for name, value in figures(result, images).items():
            self.log(f"val_{name}", value, prog_bar=name == "mse", batch_size=len(images), sync_dist=True)
        if index == 0 and self.global_rank == 0 and not self.trainer.sanity_checking:
            path = Path(self.trainer.default_root_dir) / "samples" / f"{int(self.steps):07d}.png"
            save_sheet(images[:10], result[:10], path)


@torch.no_grad()
def pivots(encoder: Encoder, images: Tensor) -> Inversion:
    """The W encoder's codes of images [N, 3, R, R]; the picture is the image itself, which no pass looks at."""
    codes = encoder(encoder.shown(images))
    return Inversion(tuple(map(str, range(len(images)))), codes, "W", images, torch.zeros(len(images)))


@torch.no_grad()
def inverted(
    hypernet: Hypernetwork | None, encoder: Encoder, generator: Generator, images: Tensor, count: int
) -> Tensor:
    """Pictures after so many passes, or of the pivots alone, clamped."""
    start = pivots(encoder, images)
    if hypernet is None:
        return rendered(generator, start).image
    shown = shrunk(images, hypernet.shape.resolution)
    return refined(hypernet, generator, shown, start, count, batch_size=len(images)).image.clamp(-1, 1)
