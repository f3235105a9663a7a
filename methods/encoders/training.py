"""Training of all encoders: one Lightning module; what differs between them is their design and their settings.

Every loss term is a function of losses.py, e4e.py, latent_discriminator.py or interestyle.py. No random number comes
from a global stream, so that a training that was interrupted and resumed gives the weights of an undisturbed one.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from datasets.training_faces import to_uint8
from methods.encoders.design import Encoder, Pass, looks, pooled, shrunk
from methods.encoders.designs import DESIGNS
from methods.encoders.e4e import delta_norm, progressive_stage
from methods.encoders.interestyle import OFF, InterestConfig, area_weights, filtered_views, masked
from methods.encoders.latent_discriminator import (
    R1_INTERVAL,
    LatentDiscriminator,
    LatentPool,
    discriminator_loss,
    encoder_loss,
    r1_penalty,
)
from methods.encoders.losses import LossWeights, reconstruction_terms, w_norm
from methods.encoders.shared_norm import share_batch_norms
from methods.encoders.weights import fresh_encoder, start_from
from methods.features import mean_square, perceptual
from methods.generators.stylegan2 import Generator
from metrics.regions import load_parser

FORWARD_ONLY = 1 / 3  # of the work of a pass with its backward


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """Settings of `python -m benchmarks train psp|e4e|restyle_psp|restyle_e4e|interestyle|hyperstyle_w_encoder`.

    budget: passes of encoder and generator, forward and backward, over all processes (a pass without a backward
    counts a third): what makes trainings of different encoders equally dear. An encoder that looks three times sees a
    third of the images. latent: weight of the squared error of the code itself on generator samples. start: encoder
    weights to begin from, whatever fits. The released trainings use Ranger at 1e-4 for 200,000 steps and more; this
    world's budget is a hundredth of that, so Adam, a higher rate, and a cosine down to zero.
    """

    design: str = ""
    generator: str = "faces64"
    budget: int = 32_000
    batch: int = 8
    synthetic: float = 0.25
    draws: int = 48_000
    lr: float = 1e-3
    warmup: float = 0.05  # share of the budget
    ema: float = 0.995
    losses: LossWeights = field(default_factory=LossWeights)
    latent: float = 0.0
    w_norm: float = 0.0
    delta_norm: float = 0.0
    adversarial: float = 0.0
    discriminator_lr: float = 2e-4  # 2e-5 in the released code, for fifty times the steps
    progressive: bool = False
    interest: InterestConfig = field(default_factory=lambda: OFF)
    start: str = ""
    name: str = ""  # of the exported files; the design's when empty
    seed: int = 0


class EncoderTraining(pl.LightningModule):
    """Encoder, its moving average and, for e4e, the latent critic, under manual optimisation."""

    steps: Tensor

    def __init__(self, config: EncoderTrainingConfig, generator: Generator):
        super().__init__()
        self.save_hyperparameters(asdict(config))
        self.automatic_optimization = False
        self.config = config
        self.design = DESIGNS[config.design]
        self.generator = generator.eval().requires_grad_(False)
        self.encoder = fresh_encoder(self.design, generator, config.seed)
        if config.start:
            start_from(self.encoder, Path(config.start))
        self.ema = copy.deepcopy(self.encoder).requires_grad_(False).eval()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        if config.adversarial:
            with torch.random.fork_rng():
                torch.manual_seed(config.seed + 1)
                self.critic = LatentDiscriminator(generator.w_dim)
            self.real_pool, self.fake_pool = LatentPool(generator.w_dim), LatentPool(generator.w_dim)

    @staticmethod
    def passes_per_image_of(config: EncoderTrainingConfig) -> float:
        """Cost of one training image in passes."""
        count, interest = DESIGNS[config.design].iterations, config.interest
        trained = 1 if interest.gradient == "last" else count
        return trained + (count - trained) * FORWARD_ONLY + (1 if interest.disentanglement else 0)

    @property
    def passes_per_image(self) -> float:
        return self.passes_per_image_of(self.config)

    @property
    def total_steps(self) -> int:
        world = self.trainer.world_size if self._trainer else 1
        return math.ceil(self.config.budget / (self.passes_per_image * self.config.batch * world))

    @property
    def progress(self) -> float:
        return int(self.steps) / self.total_steps

    @property
    def stage(self) -> int | None:
        """Rows that have a delta by now; None for all."""
        return progressive_stage(self.progress, self.generator.num_ws) if self.config.progressive else None

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            share_batch_norms(self.encoder)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(self.encoder.parameters(), lr=self.config.lr)]
        if self.config.adversarial:
            optimisers.append(torch.optim.Adam(self.critic.parameters(), lr=self.config.discriminator_lr))
        return optimisers

    def training_step(self, batch: dict[str, Tensor], index: int) -> None:
        optimisers = self.optimizers()
        optimisers = cast(list[Any], optimisers if isinstance(optimisers, list) else [optimisers])
        optimise = optimisers[0]
        warm = min(1.0, (self.progress + 1e-3) / self.config.warmup) if self.config.warmup else 1.0
        optimise.param_groups[0]["lr"] = self.config.lr * warm * 0.5 * (1 + math.cos(math.pi * self.progress))
        terms, latent = self._terms(batch)
        if self.config.adversarial:
            self.critic.requires_grad_(False)
            terms["adversarial"] = self.config.adversarial * encoder_loss(self.critic, self._rows(latent))
            self.critic.requires_grad_(True)
        total = torch.stack(list(terms.values())).sum()
        optimise.zero_grad()
        self.manual_backward(total)
        optimise.step()
        if self.config.adversarial:
            self._critic_step(optimisers[1], latent.detach())
        self._average()
        self.log_dict({name: value.detach() for name, value in terms.items()}, sync_dist=True)
        self.log("loss", total.detach(), prog_bar=True, sync_dist=True)
        self.steps += 1
        self.log("images", float(self.steps) * self.config.batch * self.trainer.world_size, prog_bar=True)
        if int(self.steps) >= self.total_steps:
            self.trainer.should_stop = True

    def _terms(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted loss terms of a batch, summed over its passes, and the last pass's codes."""
        interest, side = self.config.interest, self.encoder.config.resolution
        images = shrunk(batch["images"], side)
        terms: dict[str, Tensor] = {}

        def add(more: dict[str, Tensor], factor: float = 1.0) -> None:
            for name, value in more.items():
                terms[name] = terms.get(name, torch.zeros((), device=self.device)) + factor * value

        mask = load_parser(interest.parser)(images)[0] if interest.needs_masks else None
        region = mask if interest.region_loss else None
        count, stage = self.design.iterations, self.stage
        if not self._draws:
            latent = self.encoder(images, stage=stage)
            add(self._code_terms(latent, batch, stage))
            return terms, latent
        views = filtered_views(images, mask, interest, count)
        learns = [interest.gradient == "every" or i == count - 1 for i in range(count)]
        passes = looks(self.encoder, self.generator, views, stage)
        for i in range(count):
            with torch.set_grad_enabled(learns[i]):
                each = next(passes)
            if not learns[i]:
                continue
            add(self._picture_terms(each.image, images, region, identity=i == count - 1))
            add(self._code_terms(each.latent, batch, stage))
        if interest.disentanglement:
            # The pair (image, masked image): what is missing is uninteresting, so its residual must not move the face.
            last = each.latent.detach()
            (cut,) = masked([images], mask)
            image = self.generator.synthesis(self.encoder(images, last, cut, stage))
            more = self._picture_terms(image, images, mask, identity=False)
            add({f"disentanglement_{k}": v for k, v in more.items()}, interest.disentanglement)
        return terms, each.latent

    @property
    def _draws(self) -> bool:
        """Whether any term needs the generator's picture."""
        losses = self.config.losses
        return self.design.iterative or any((losses.l2, losses.lpips, losses.identity))

    def _picture_terms(self, image: Tensor, target: Tensor, mask: Tensor | None, identity: bool) -> dict[str, Tensor]:
        pictures = masked([pooled(image, target.shape[-1]), target], mask)
        weights = area_weights(mask, self.config.interest)
        return reconstruction_terms(pictures[0], pictures[1], self.config.losses, weights, identity)

    def _code_terms(self, latent: Tensor, batch: dict[str, Tensor], stage: int | None) -> dict[str, Tensor]:
        config, terms = self.config, {}
        if config.delta_norm and stage != 0:
            rows = self.generator.num_ws - 1 if stage is None else stage
            terms["delta_norm"] = config.delta_norm * delta_norm(latent, rows)
        if config.w_norm:
            terms["w_norm"] = config.w_norm * w_norm(latent, self.encoder.latent_avg)
        if config.latent and bool(batch["known"].any()):
            known = batch["known"]
            terms["latent"] = config.latent * mean_square(latent[known], batch["w"][known][:, None]).mean()
        return terms

    def _rows(self, latent: Tensor) -> Tensor:
        """The codes that the critic judges, [M, w_dim]: row 0 alone while there are no deltas."""
        return latent[:, 0] if self.stage == 0 else latent.flatten(0, 1)

    def _critic_step(self, optimiser: Any, latent: Tensor) -> None:
        """One step on this process's share of all processes' codes, which pass through the same pools everywhere."""
        step, rank, world = int(self.steps), self.global_rank, self.trainer.world_size
        if world > 1:
            latent = cast(Tensor, self.all_gather(latent)).transpose(0, 1).flatten(0, 1)  # [world, N, ...] in turn
        fake = self._rows(latent)
        random = torch.Generator().manual_seed((self.config.seed << 40) + (step << 8))
        z = torch.randn(len(fake), self.generator.z_dim, generator=random).to(self.device)
        real = self.generator.mapping(z)[:, 0]
        real, fake = self.real_pool.swap(real, random), self.fake_pool.swap(fake, random)
        real, fake = real.chunk(world)[rank], fake.chunk(world)[rank]
        loss = discriminator_loss(self.critic, real, fake)
        self.log("critic", loss.detach(), sync_dist=True)
        if step % R1_INTERVAL == 0:
            loss = loss + r1_penalty(self.critic, real)
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.ema, (1 + int(self.steps)) / (10 + int(self.steps)))
        for average, current in zip(self.ema.state_dict().values(), self.encoder.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(current)

    def validation_step(self, batch: tuple[Tensor], index: int) -> None:
        images = shrunk(batch[0], self.ema.config.resolution)
        result = encoded(self.ema, self.generator, images)
        # Identity costs more than all else together; the model card has it.
        for name, value in figures(result.image, images).items():
            self.log(f"val_{name}", value, prog_bar=name == "mse", batch_size=len(images), sync_dist=True)
        if index == 0 and self.global_rank == 0 and not self.trainer.sanity_checking:
            path = Path(self.trainer.default_root_dir) / "samples" / f"{int(self.steps):07d}.png"
            save_sheet(images[:10], result.image[:10], path)


@torch.no_grad()
def encoded(encoder: Encoder, generator: Generator, images: Tensor) -> Pass:
    """The last look at sharp whole images, its picture pooled to the encoder's side and clamped."""
    *_, last = looks(encoder, generator, [images] * encoder.design.iterations)
    return Pass(last.latent, pooled(last.image, images.shape[-1]).clamp(-1, 1))


@torch.no_grad()
def figures(images: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """What a training is judged by, on whole images: MSE and LPIPS (AlexNet); batch means."""
    return {
        "mse": mean_square(images, targets).mean(),
        "lpips": perceptual("lpips_alex").to(images)(images, targets).mean(),
    }


def save_sheet(targets: Tensor, images: Tensor, path: Path) -> None:
    """Targets over reconstructions."""
    sheet = make_grid(torch.cat([targets, images.clamp(-1, 1)]).cpu(), nrow=len(targets), padding=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_uint8(sheet[None])[0]).save(path)
