"""Training of the Feature-Style encoder beside a frozen generator, as one Lightning module.

Reference: Yao et al., arXiv 2202.02183. Every loss but that of the map is taken of two inversions, by the code alone
and with the map, which is blended in at first. L2 is of the generator's samples only. Here identity is of one network
and one layer, LPIPS of the scales that AlexNet can see, and the loss of face regions is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.feature_maps import FeatureEdit, change_of
from methods.feature_space import weights
from methods.feature_space.feature_style import KIND, encoded, fresh_encoder, load_encoder
from methods.feature_space.sfe_networks import Trunk, TrunkConfig
from methods.features import mean_square
from methods.generators.stylegan2 import Generator
from methods.training.base import EmaTraining, NetworkTrainingConfig, Reconstruction
from methods.training.losses import LossWeights, reconstruction_terms

SCALES, LEAST = 3, 32  # LPIPS at the side, its half and its quarter, of those that AlexNet can see (px)


@dataclass(frozen=True, kw_only=True)
class FeatureStyleTrainingConfig(NetworkTrainingConfig):
    """Settings of `python -m benchmarks train feature_style`.

    map: weight of the squared difference of the encoder's map and the generator's. blend: fraction of the budget over
    which the map is blended in, from the generator's own.
    """

    map: float = 0.01
    blend: float = 1 / 12
    synthetic: float = 0.5
    losses: LossWeights = field(default_factory=lambda: LossWeights(lpips=0.2))
    name: str = KIND

    @property
    def cost(self) -> float:
        return 2  # images of each target


class FeatureStyleTraining(EmaTraining):
    """The encoder and its average."""

    network_name = "encoder"
    encoder: Trunk
    config: FeatureStyleTrainingConfig

    def __init__(self, config: FeatureStyleTrainingConfig, generator: Generator):
        super().__init__(config, generator, fresh_encoder(generator, config.seed))

    @property
    def default_name(self) -> str:
        return KIND

    @property
    def shape(self) -> TrunkConfig:
        return self.encoder.shape

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        images, config = batch["images"], self.config
        codes, own, predicted = encoded(self.encoder, self.generator, images)
        blended = own.lerp(predicted, min(1.0, self.progress / config.blend) if config.blend else 1.0)
        terms: dict[str, Tensor] = {"map": config.map * mean_square(predicted, own).mean()}
        for name, image in (
            ("code", self.generator.synthesis(codes)),
            ("mapped", drawn(self.generator, codes, self.shape.layer, blended)),
        ):
            for part, value in image_terms(image, images, batch["known"], config.losses).items():
                terms[f"{name}_{part}"] = value
        return terms

    @torch.no_grad()
    def reconstruct(self, network: Any, images: Tensor) -> Reconstruction:
        """With the map; a pair (network, False) is the code alone."""
        network, mapped = network if isinstance(network, tuple) else (network, True)
        codes, _, predicted = encoded(network, self.generator, images)
        image = drawn(self.generator, codes, self.shape.layer, predicted if mapped else None)
        return Reconstruction(codes, image.clamp(-1, 1), images)

    def compared(self, stored: Trunk) -> dict[str, Any]:
        return {"the code alone": (stored, False), **super().compared(stored)}

    def save(self, path: Path, card: dict[str, str]) -> None:
        weights.save(self.average, self.shape, KIND, self.generator, path, half=True, card=card)

    def load(self, path: Path) -> Trunk:
        return load_encoder(path, self.generator)


def drawn(generator: Generator, codes: Tensor, layer: int, maps: Tensor | None) -> Tensor:
    """Images [N, 3, R, R] of codes, unclamped, with maps [N, C, r, r] in place of f[layer]; None leaves it."""
    edits = () if maps is None else (FeatureEdit(layer, "replace", {"map": maps}),)
    return generator.synthesis(codes, change=change_of(edits))


def image_terms(image: Tensor, target: Tensor, known: Tensor, losses: LossWeights) -> Mapping[str, Tensor]:
    """L2 of the generator's samples alone, LPIPS at several scales, identity: weighted, scalars by name.

    image, target: [N, 3, R, R]. known: which targets are samples [N].
    """
    terms = reconstruction_terms(image, target, replace(losses, l2=0.0))
    for scale in range(1, SCALES):
        side = image.shape[-1] // 2**scale
        if losses.lpips and side >= LEAST:
            small = [F.avg_pool2d(each, 2**scale) for each in (image, target)]
            terms["lpips"] = (
                terms["lpips"]
                + reconstruction_terms(small[0], small[1], replace(losses, l2=0.0, identity=0.0))["lpips"]
            )
    if losses.l2 and bool(known.any()):
        terms["l2"] = losses.l2 * mean_square(image[known], target[known]).mean()
    return terms
