"""Training of StyleRes's networks around the codes of a frozen e4e, against a discriminator.

Reference: Pehlivan et al., StyleRes, arXiv 2212.14359, section 3. No edit is named: half of the images are inverted as
they are; of the others the code moves to a random one of the generator, and the edited image, encoded again and moved
back, has to give the target. The discriminator judges both. The paper leaves the weights of the losses to a supplement
that we have not seen, so that those here are chosen; its VGG features are LPIPS (AlexNet) here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.images import resized
from methods.checkpoints.trained import TOY
from methods.encoders.encoder import Encoder
from methods.encoders.training import FORWARD_ONLY
from methods.encoders.weights import encoder_for
from methods.feature_maps import FeatureEdit, change_of
from methods.feature_space import weights
from methods.feature_space.styleres import KIND, fresh, load
from methods.feature_space.styleres_network import StyleResConfig, StyleResNetworks
from methods.generators.readers import WEIGHTS
from methods.generators.stylegan2 import Generator
from methods.resizing import pooled
from methods.training.adversary import discriminator_step, fooling_loss
from methods.training.base import EmaTraining, NetworkTrainingConfig, Reconstruction
from methods.training.discriminator import Discriminator, discriminator_channels, load_discriminator
from methods.training.losses import reconstruction_terms


@dataclass(frozen=True, kw_only=True)
class StyleResTrainingConfig(NetworkTrainingConfig):
    """Settings of `python -m benchmarks train styleres`.

    encoder: the e4e whose codes it starts from; "" for the one trained for the generator, "toy" for a random one.
    levels: of e4e up to the map that is read; 2 is a quarter of the images' side, as published. nearest, farthest: how
    many tenths of the way to a random code an edit moves. residual: weight of the mean square of what is added to the
    map. adversarial: weight of the discriminator, r1_gamma of its R1. discriminator: the state of a generator's
    training that has one to begin from; "" for the state bundled with the generator, where there is one, "toy" for
    random weights.
    """

    encoder: str = ""
    levels: int = 2
    nearest: float = 4.0
    farthest: float = 5.0
    residual: float = 0.01
    adversarial: float = 0.05
    r1_gamma: float = 0.1
    discriminator: str = ""
    discriminator_lr: float = 2e-4
    name: str = KIND

    @property
    def cost(self) -> float:
        # Half of the images pass networks and generator twice; the first code and the discriminator's images cost less.
        return 1.5 + 2 * FORWARD_ONLY


def parts_of(config: StyleResTrainingConfig, generator: Generator) -> tuple[Encoder, Discriminator]:
    """The frozen e4e, and the discriminator to begin from.

    Raises FileNotFoundError that says how to train what is missing, and ValueError for a discriminator of another side
    or batches without a pair.
    """
    if config.batch < 2:
        raise ValueError(f"batch={config.batch}: half of a batch is edited, so that it has at least two images")
    encoder = encoder_for("e4e", config.encoder, config.generator, generator)
    bundled = WEIGHTS / "training" / f"{Path(config.generator).stem}-state.safetensors"
    path = Path(config.discriminator).expanduser() if config.discriminator else bundled
    if config.discriminator == TOY or (not config.discriminator and not path.exists()):
        with torch.random.fork_rng():
            torch.manual_seed(config.seed + 1)
            return encoder, Discriminator(discriminator_channels(generator.resolution))
    discriminator = load_discriminator(path)
    if discriminator.resolution != generator.resolution:
        raise ValueError(
            f"{path}: its discriminator is of {discriminator.resolution} px, the generator of {generator.resolution}; "
            "give that of its training, or discriminator=toy"
        )
    return encoder, discriminator


class StyleResTraining(EmaTraining):
    """The networks, their average and the discriminator; generator and e4e are frozen."""

    network_name = "networks"
    replayable = True
    networks: StyleResNetworks
    config: StyleResTrainingConfig

    def __init__(self, config: StyleResTrainingConfig, generator: Generator):
        encoder, discriminator = parts_of(config, generator)
        super().__init__(config, generator, fresh(generator, encoder, config.levels, config.seed))
        self.encoder, self.discriminator = encoder, discriminator

    @property
    def default_name(self) -> str:
        return KIND

    @property
    def shape(self) -> StyleResConfig:
        return self.networks.shape

    def further_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.discriminator.parameters(), lr=self.config.discriminator_lr, betas=(0.0, 0.99))]

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        images, config = batch["images"], self.config
        with torch.no_grad():
            codes = self.encoder(self.encoder.preprocess(images))
            steps = self.edits(codes, batch["z"], batch["parts"])
        image, added = self._changed(self.networks, images, codes, codes + steps)
        edited = slice(1, None, 2)
        found = self.encoder(self.encoder.preprocess(image[edited]))
        back, _ = self._changed(self.networks, image[edited], found, found - steps[edited])
        terms = {"residual": config.residual * added.square().mean()}
        target = resized(images, self.shape.resolution)
        for name, made, of in (("inversion", image[::2], target[::2]), ("cycle", back, target[edited])):
            for part, value in reconstruction_terms(pooled(made, of.shape[-1]), of, config.losses).items():
                terms[f"{name}_{part}"] = value
        if config.adversarial:
            terms["adversarial"] = config.adversarial * fooling_loss(self.discriminator, image)
        self._judged = images, image.detach()
        return terms

    def prepared(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """With what edits move to, z [N, z_dim], and the part of the way there [N]; zero for every second image."""
        count = len(batch["images"])
        random, config = torch.Generator().manual_seed(self.step_seed), self.config
        z = torch.randn(count, self.generator.z_dim, generator=random)
        tenths = config.nearest + (config.farthest - config.nearest) * torch.rand(count, generator=random)
        tenths[::2] = 0
        return batch | {"z": z.to(self.device), "parts": tenths.to(self.device) / 10}

    def edits(self, codes: Tensor, z: Tensor, parts: Tensor) -> Tensor:
        """The steps of a batch [N, num_ws, w_dim] from its codes towards those of z."""
        steps: Tensor = parts.to(codes)[:, None, None] * (self.generator.mapping(z.to(codes)) - codes)
        return steps

    def after_step(self, optimizers: list[Any]) -> None:
        if self.config.adversarial:
            game = self.discriminator, optimizers[1], *self._judged
            loss = discriminator_step(self, *game, int(self.steps), self.config.r1_gamma)
            self.log("discriminator", loss, sync_dist=True)

    def reconstruct(self, network: StyleResNetworks | None, images: Tensor) -> Reconstruction:
        """Without a network: the image of the code alone."""
        target = resized(images, self.shape.resolution)
        with torch.no_grad():
            codes = self.encoder(self.encoder.preprocess(images))
            if network is None:
                image = self.generator.synthesis(codes)
            else:
                image, _ = self._changed(network, images, codes, codes)
        return Reconstruction(codes, pooled(image, target.shape[-1]).clamp(-1, 1), target)

    def save(self, path: Path, card: dict[str, str]) -> None:
        weights.save(self.average, self.shape, KIND, self.generator, path, half=True, card=card)

    def load(self, path: Path) -> StyleResNetworks:
        return load(path, self.generator)

    def compared(self, stored: StyleResNetworks) -> dict[str, StyleResNetworks | None]:
        return {"the code alone": None, **super().compared(stored)}

    def _changed(self, networks: StyleResNetworks, images: Tensor, codes: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Images whose codes are given, at other codes; unclamped, and what was added to the map."""
        layer = self.shape.layer
        residual = networks(resized(images, self.shape.resolution), self.generator.feature_map(codes, layer))
        added = networks.change(self.generator.feature_map(at, layer), residual)
        return self.generator.synthesis(at, change=change_of([FeatureEdit(layer, "add", {"map": added})])), added
