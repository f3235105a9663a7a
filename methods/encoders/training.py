"""Training of all encoders: one Lightning module; what differs between them is their design and their settings.

Every loss term is a function of methods/training/losses.py, e4e.py, latent_discriminator.py or interestyle.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from datasets.images import resized
from methods.encoders.designs import DESIGNS
from methods.encoders.e4e import delta_norm, deltas_in_use
from methods.encoders.encoder import Encoder, refine
from methods.encoders.interestyle import OFF, InterestConfig, area_weights, filtered_views, masked
from methods.encoders.latent_discriminator import R1_GAMMA, LatentDiscriminator, LatentPool
from methods.encoders.networks import EncoderConfig
from methods.encoders.weights import fresh_encoder, load_encoder, save_encoder
from methods.features import mean_square
from methods.generators.stylegan2 import Generator
from methods.resizing import pooled
from methods.style_space import alignment_loss, anchors
from methods.training.adversary import discriminator_step, fooling_loss
from methods.training.base import EmaTraining, NetworkTrainingConfig, Reconstruction
from methods.training.losses import reconstruction_terms, w_norm
from metrics.regions import load_parser

FORWARD_ONLY = 1 / 3  # of the work of a pass with its backward


@dataclass(frozen=True, kw_only=True)
class EncoderTrainingConfig(NetworkTrainingConfig):
    """Settings of `python -m benchmarks train psp|e4e|lsap|restyle_psp|restyle_e4e|interestyle|hyperstyle_w_encoder`.

    latent: weight of the squared error of the code itself on generator samples. alignment: of LSAP's loss. An encoder
    of three refinement steps sees a third of the images within the same budget.
    """

    design: str = ""
    latent: float = 0.0
    w_norm: float = 0.0
    delta_norm: float = 0.0
    alignment: float = 0.0
    adversarial: float = 0.0
    discriminator_lr: float = 2e-4  # 2e-5 in the released code, for fifty times the steps
    progressive: bool = False
    interest: InterestConfig = field(default_factory=lambda: OFF)

    @property
    def iterations(self) -> int:
        return DESIGNS[self.design].iterations

    @property
    def cost(self) -> float:
        count, interest = self.iterations, self.interest
        trained = 1 if interest.gradient == "last" else count
        return trained + (count - trained) * FORWARD_ONLY + (1 if interest.disentanglement else 0)


class EncoderTraining(EmaTraining):
    """Encoder, its average and, for e4e, the latent discriminator."""

    network_name = "encoder"
    encoder: Encoder
    config: EncoderTrainingConfig

    def __init__(self, config: EncoderTrainingConfig, generator: Generator):
        design = DESIGNS[config.design]
        super().__init__(config, generator, fresh_encoder(design, generator, config.seed))
        self.design = design
        if config.adversarial:
            with torch.random.fork_rng():
                torch.manual_seed(config.seed + 1)
                self.discriminator = LatentDiscriminator(generator.w_dim)
            self.real_pool, self.fake_pool = LatentPool(generator.w_dim), LatentPool(generator.w_dim)

    @property
    def default_name(self) -> str:
        return self.config.design

    @property
    def shape(self) -> EncoderConfig:
        return self.encoder.config

    @property
    def num_deltas(self) -> int | None:
        """Layers that have a delta by now; None for all."""
        return deltas_in_use(self.progress, self.generator.num_ws) if self.config.progressive else None

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        """Known codes are chosen by values."""
        return not self.config.latent

    @property
    def phase(self) -> int | None:
        return self.num_deltas

    def prepared(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """With images at the encoder's side [N, 3, S, S], and their interest regions [N, 1, S, S] where needed."""
        batch = batch | {"images": resized(batch["images"], self.encoder.config.resolution)}
        interest = self.config.interest
        return batch | {"mask": load_parser(interest.parser)(batch["images"])[0]} if interest.needs_masks else batch

    def further_optimizers(self) -> list[torch.optim.Optimizer]:
        if not self.config.adversarial:
            return []
        return [torch.optim.Adam(self.discriminator.parameters(), lr=self.config.discriminator_lr)]

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        terms, latent = self._terms(batch)
        if self.config.adversarial:
            terms["adversarial"] = self.config.adversarial * fooling_loss(self.discriminator, self._codes(latent))
        self._last_codes = latent.detach()
        return terms

    def after_step(self, optimizers: list[Any]) -> None:
        if self.config.adversarial:
            self._discriminator_step(optimizers[1], self._last_codes)

    @torch.no_grad()
    def reconstruct(self, network: Encoder, images: Tensor) -> Reconstruction:
        """The last refinement step on sharp images, at the encoder's side."""
        target = resized(images, network.config.resolution)
        *_, last = refine(network, self.generator, [target] * network.design.iterations)
        return Reconstruction(last.latent, pooled(last.image, target.shape[-1]).clamp(-1, 1), target)

    def save(self, path: Path, card: dict[str, str]) -> None:
        save_encoder(self.average, self.generator, path, half=True, card=card)

    def load(self, path: Path) -> Encoder:
        return load_encoder(path, self.design, self.generator)

    def _terms(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted loss terms of a batch, summed over the refinement steps, and the last codes."""
        interest, images = self.config.interest, batch["images"]
        terms: dict[str, Tensor] = {}

        def add(more: dict[str, Tensor], factor: float = 1.0) -> None:
            for name, value in more.items():
                terms[name] = terms.get(name, torch.zeros((), device=self.device)) + factor * value

        mask = batch["mask"] if interest.needs_masks else None
        region = mask if interest.region_loss else None
        count, num_deltas = self.design.iterations, self.num_deltas
        if not self._renders:
            latent = self.encoder(images, num_deltas=num_deltas)
            add(self._code_terms(latent, batch, num_deltas))
            return terms, latent
        views = filtered_views(images, mask, interest, count)
        learns = [interest.gradient == "every" or i == count - 1 for i in range(count)]
        steps = refine(self.encoder, self.generator, views, num_deltas)
        for i in range(count):
            with torch.set_grad_enabled(learns[i]):
                step = next(steps)
            if not learns[i]:
                continue
            add(self._image_terms(step.image, images, region, identity=i == count - 1))
            add(self._code_terms(step.latent, batch, num_deltas))
        if interest.disentanglement:
            # The pair (image, masked image): what is missing is uninteresting, so its residual must not move the face.
            last = step.latent.detach()
            (cut,) = masked([images], mask)
            image = self.generator.synthesis(self.encoder(images, last, cut, num_deltas))
            more = self._image_terms(image, images, mask, identity=False)
            add({f"disentanglement_{k}": v for k, v in more.items()}, interest.disentanglement)
        return terms, step.latent

    @property
    def _renders(self) -> bool:
        """Whether any term needs the generator's image."""
        losses = self.config.losses
        return self.design.iterative or any((losses.l2, losses.lpips, losses.identity))

    def _image_terms(self, image: Tensor, target: Tensor, mask: Tensor | None, identity: bool) -> dict[str, Tensor]:
        images = masked([pooled(image, target.shape[-1]), target], mask)
        weights = area_weights(mask, self.config.interest)
        return reconstruction_terms(images[0], images[1], self.config.losses, weights, identity)

    def _code_terms(self, latent: Tensor, batch: dict[str, Tensor], num_deltas: int | None) -> dict[str, Tensor]:
        config, terms = self.config, {}
        if config.delta_norm and num_deltas != 0:
            count = self.generator.num_ws - 1 if num_deltas is None else num_deltas
            terms["delta_norm"] = config.delta_norm * delta_norm(latent, count)
        if config.alignment:
            layers = None if num_deltas is None else num_deltas + 1
            means = anchors(self.generator)
            terms["alignment"] = config.alignment * alignment_loss(self.generator, latent, means, layers)
        if config.w_norm:
            terms["w_norm"] = config.w_norm * w_norm(latent, self.encoder.latent_avg)
        if config.latent and bool(batch["known"].any()):
            known = batch["known"]
            terms["latent"] = config.latent * mean_square(latent[known], batch["w"][known][:, None]).mean()
        return terms

    def _codes(self, latent: Tensor) -> Tensor:
        """The codes that the discriminator sees, [M, w_dim]: layer 0 alone while there are no deltas."""
        return latent[:, 0] if self.num_deltas == 0 else latent.flatten(0, 1)

    def _discriminator_step(self, optimizer: Any, latent: Tensor) -> None:
        """One step on this process's part of all processes' codes, which pass through the same pools everywhere."""
        step, rank, world = int(self.steps), self.global_rank, self.trainer.world_size
        if world > 1:
            latent = cast(Tensor, self.all_gather(latent)).transpose(0, 1).flatten(0, 1)  # [world, N, ...] in turn
        fake = self._codes(latent)
        random = torch.Generator().manual_seed((self.config.seed << 40) + (step << 8))
        z = torch.randn(len(fake), self.generator.z_dim, generator=random).to(self.device)
        real = self.generator.mapping(z)[:, 0]
        real, fake = self.real_pool.swap(real, random), self.fake_pool.swap(fake, random)
        real, fake = real.chunk(world)[rank], fake.chunk(world)[rank]
        loss = discriminator_step(self, self.discriminator, optimizer, real, fake, step, R1_GAMMA)
        self.log("latent_discriminator", loss, sync_dist=True)
