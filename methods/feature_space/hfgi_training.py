"""Training of HFGI's networks around the codes of a frozen e4e, as one Lightning module.

Reference: Wang et al., HFGI, arXiv 2109.06590, section 3. No edit is needed: what a code's image lacks is distorted by
a random perspective, and the networks learn to move it back to where it belongs in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.images import resized
from methods.encoders.encoder import Encoder
from methods.encoders.training import FORWARD_ONLY
from methods.encoders.weights import encoder_for
from methods.feature_maps import FeatureEdit, change_of
from methods.feature_space import weights
from methods.feature_space.hfgi import KIND, fresh, load
from methods.feature_space.hfgi_network import HfgiConfig, HfgiNetworks, seen
from methods.generators.stylegan2 import Generator
from methods.resizing import pooled
from methods.training.base import EmaTraining, NetworkTrainingConfig, Reconstruction
from methods.training.losses import reconstruction_terms


@dataclass(frozen=True, kw_only=True)
class HfgiTrainingConfig(NetworkTrainingConfig):
    """Settings of `python -m benchmarks train hfgi`.

    encoder: the e4e whose codes it starts from; "" for the one trained for the generator, "toy" for a random one.
    layer: k of the map f[k] that is changed; 0 for the first at a quarter of the images' side. alignment: weight of the
    mean absolute difference between aligned and true details. distortion: of the perspective, a corner moves by up to
    half of this part of the side. distorted: part of the images whose details are distorted.
    """

    encoder: str = ""
    layer: int = 0
    alignment: float = 0.1
    distortion: float = 0.15
    distorted: float = 0.9
    name: str = KIND

    @property
    def cost(self) -> float:
        return 1 + FORWARD_ONLY  # encoder and generator without a backward, then the networks and the generator


def encoder_of(config: HfgiTrainingConfig, generator: Generator) -> Encoder:
    """The frozen e4e. Raises FileNotFoundError that says how to train it."""
    return encoder_for("e4e", config.encoder, config.generator, generator)


class HfgiTraining(EmaTraining):
    """The networks and their average; generator and e4e are frozen."""

    network_name = "networks"
    replayable = True
    networks: HfgiNetworks
    config: HfgiTrainingConfig

    def __init__(self, config: HfgiTrainingConfig, generator: Generator):
        super().__init__(config, generator, fresh(generator, config.layer, config.seed))
        self.encoder = encoder_of(config, generator)

    @property
    def default_name(self) -> str:
        return KIND

    @property
    def shape(self) -> HfgiConfig:
        return self.networks.shape

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        codes, image, target = self._start(batch["images"])
        residual = target - image
        aligned = self.networks.grid_align(in_perspective(residual, batch["perspectives"]), image)
        inverted = self._changed(codes, self.networks.residue(aligned))
        terms = reconstruction_terms(pooled(inverted, target.shape[-1]), target, self.config.losses)
        return terms | {"alignment": self.config.alignment * (aligned - residual).abs().mean()}

    def prepared(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """With a perspective of its own for the details of each image [N, 3, 3]; step and process alone decide."""
        count = len(batch["images"])
        random, reach = torch.Generator().manual_seed(self.step_seed), self.config.distortion / 2
        inwards = reach * torch.rand(count, 4, 2, dtype=torch.float64, generator=random)
        distorted = torch.rand(count, generator=random) < self.config.distorted
        return batch | {"perspectives": perspectives(inwards * distorted[:, None, None]).to(self.device)}

    def reconstruct(self, network: HfgiNetworks | None, images: Tensor) -> Reconstruction:
        """Without a network: the image of the code alone."""
        with torch.no_grad():
            codes, image, target = self._start(images)
            if network is not None:
                inverted = self._changed(codes, network(target - image, image))
                image = pooled(inverted, target.shape[-1]).clamp(-1, 1)
        return Reconstruction(codes, image, target)

    def save(self, path: Path, card: dict[str, str]) -> None:
        weights.save(self.average, self.shape, KIND, self.generator, path, half=True, card=card)

    def load(self, path: Path) -> HfgiNetworks:
        return load(path, self.generator)

    def compared(self, stored: HfgiNetworks) -> dict[str, HfgiNetworks | None]:
        return {"the code alone": None, **super().compared(stored)}

    @torch.no_grad()
    def _start(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes of images [N, 3, R, R], and what the networks see: the codes' images and the targets."""
        side = self.shape.resolution
        codes = self.encoder(self.encoder.preprocess(images))
        return codes, seen(self.generator.synthesis(codes), side), resized(images, side)

    def _changed(self, codes: Tensor, change: dict[str, Tensor]) -> Tensor:
        edit = FeatureEdit(self.shape.layer, "affine", change)
        return self.generator.synthesis(codes, change=change_of([edit]))


def perspectives(inwards: Tensor) -> Tensor:
    """From places of the result to those of an image whose corners move inwards.

    inwards: how far each corner goes, as parts of the side [N, 4, 2] (x, y; from the upper left one clockwise).
    Returns homogeneous matrices [N, 3, 3] of coordinates from 0 to 1, float32.
    """
    corners = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=inwards.dtype)
    (x, y), (u, v) = (corners + (1 - 2 * corners) * inwards).unbind(2), corners.unbind(1)
    one, nil = torch.ones_like(x), torch.zeros_like(x)
    # u = (a x + b y + c) / (g x + h y + 1), v likewise: two equations a corner
    rows = [
        torch.stack([x, y, one, nil, nil, nil, -u * x, -u * y], dim=2),
        torch.stack([nil, nil, nil, x, y, one, -v * x, -v * y], dim=2),
    ]
    found = torch.linalg.solve(torch.cat(rows, dim=1), torch.cat([u, v]).expand(len(inwards), -1))
    return F.pad(found, (0, 1), value=1.0).view(-1, 3, 3).float()


def in_perspective(images: Tensor, matrices: Tensor) -> Tensor:
    """Images [N, C, R, R] as their `perspectives` [N, 3, 3] show them; zero where none of an image comes to lie."""
    line = torch.linspace(0, 1, images.shape[-1], device=images.device, dtype=images.dtype)
    places = torch.stack([*torch.meshgrid(line, line, indexing="xy"), torch.ones_like(line).expand(len(line), -1)], 2)
    moved = torch.einsum("nij,yxj->nyxi", matrices.to(images), places)
    return F.grid_sample(images, 2 * moved[..., :2] / moved[..., 2:] - 1, align_corners=True)
