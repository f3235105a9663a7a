"""Feature-Style Encoder as a stage: one pass gives a code and a map of the generator.

Reference: Yao et al., "A Style-Based GAN Encoder for High Fidelity Reconstruction of Images and Videos", arXiv
2202.02183, from the paper alone: the licence of the authors' repository is for evaluation only, so its code and files
are not used. On an edit the map moves as the generator's own does: F0 + f(w) - f(w0), so that F0 - f(w0) is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from methods.base import Inversion, MethodInfo, rendered
from methods.batching import padded
from methods.checkpoints.trained import TOY, TrainedStage
from methods.feature_maps import FeatureEdit
from methods.feature_space import weights
from methods.feature_space.sfe_networks import Trunk, TrunkConfig, check_entry
from methods.generators.stylegan2 import Generator

KIND = "feature_style"
# At 64 px: 0.6 million parameters; the map has an eighth of the side, as 16 px are to the paper's 256 by a sixteenth.
SMALL: dict[str, Any] = {"units": (1, 1, 2, 1), "widths": (16, 32, 64, 64), "content": 64, "pool": 1}
TINY: dict[str, Any] = {"units": (1, 1, 1, 1), "widths": (4, 4, 4, 4), "content": 4, "pool": 1}


@dataclass(frozen=True)
class FeatureStyleConfig:
    """weights: a bundled name or a file of this suite; "" for the one trained for celeba64, "toy" for random ones.

    batch_size: images encoded at once, fixed (methods/batching.py).
    """

    weights: str = ""
    batch_size: int = 8


class FeatureStyle(TrainedStage):
    """A code, and what the encoder's map has beyond the generator's map at that code."""

    Config = FeatureStyleConfig
    find = staticmethod(weights.find)
    config: FeatureStyleConfig
    info = MethodInfo(
        name=KIND,
        title="Feature-Style",
        version=1,
        paper="Yao et al., A Style-Based GAN Encoder for High Fidelity Reconstruction of Images and Videos, "
        "arXiv 2202.02183",
        year=2022,
        code="none: its licence is for evaluation only",
        licence="of this suite",
        space="W+",
        note="re-implemented from the paper; trained without its loss of face regions",
    )

    def __init__(self, generator: Generator, config: Any = None, seed: int = 0):
        super().__init__(generator, config, seed)
        source = self.source(self.config)
        if source == TOY:
            self.network = toy_encoder(generator)
        else:
            self.network = load_encoder(weights.find(source, KIND), generator)

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        latent, residual = [], []
        for part in images.split(self.config.batch_size):
            codes, change = self._encode(padded(part, self.padded_size(len(part))))
            latent.append(codes[: len(part)])
            residual.append(change[: len(part)].half())
        layer = self.network.shape.layer
        draft = Inversion(
            ids=tuple(ids),
            latent=torch.cat(latent),
            space=self.info.space,
            image=torch.empty_like(images),
            steps=torch.ones(len(ids), dtype=torch.int64),
            features=tuple((FeatureEdit(layer, "add", {"map": one[None]}),) for one in torch.cat(residual)),
        )
        return rendered(self.generator, draft)

    @torch.no_grad()
    def _encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [N, num_ws, w_dim], and the encoder's map less the generator's [N, C, r, r]."""
        codes, own, predicted = encoded(self.network, self.generator, images)
        return codes, predicted - own


def encoded(network: Trunk, generator: Generator, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images [N, 3, R, R] -> codes [N, num_ws, w_dim], the generator's map at them, and the encoder's map."""
    offsets, predicted = network(images)
    codes = offsets + generator.w_mean
    return codes, generator.feature_map(codes, network.shape.layer), predicted


def config_for(generator: Generator, **shape: Any) -> TrunkConfig:
    """The shape for a generator: a map of an eighth of the side, at 256 px and more of 16 px, as published."""
    resolution = min(256, generator.resolution)
    content_stride = 2 if resolution == 256 else 1
    return fitted(TrunkConfig, generator, strides=(2, 2, 2, 2), content_stride=content_stride, **shape)


def fitted(config: type[TrunkConfig], generator: Generator, **shape: Any) -> Any:
    """A shape whose code and map are the generator's."""
    common: dict[str, Any] = {
        "resolution": min(256, generator.resolution),
        "num_ws": generator.num_ws,
        "w_dim": generator.w_dim,
    }
    first = config(**common, **shape)
    return config(**common, **shape, maps=generator.config.channels[(first.layer - 1) // 2])


def toy_encoder(generator: Generator, seed: int = 0) -> Trunk:
    """A small encoder of random weights around the mean of W: for tests, not for figures."""
    return at_rest(weights.seeded(lambda: Trunk(config_for(generator, **TINY)), seed)).eval().requires_grad_(False)


@torch.no_grad()
def fresh_encoder(generator: Generator, seed: int) -> Trunk:
    """An untrained encoder of the bundled size; codes begin at the mean of W, maps with the statistics of samples'."""
    network = at_rest(weights.seeded(lambda: Trunk(config_for(generator, **SMALL)), seed))
    z = torch.randn(256, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    maps = generator.feature_map(generator.mapping(z.to(generator.w_mean)), network.shape.layer)
    last: Any = network.content_layer[-1]
    last.weight.copy_(maps.std(dim=(0, 2, 3)))
    last.bias.copy_(maps.mean(dim=(0, 2, 3)))
    return network


@torch.no_grad()
def at_rest(network: Trunk) -> Trunk:
    """The trunk with small offsets of codes."""
    style: Any
    for style in network.styles:
        style.weight.mul_(0.1)
        style.bias.zero_()
    return network


def load_encoder(path: Path, generator: Generator) -> Trunk:
    """An encoder in eval mode for its generator. Raises ValueError that names the file and the fix."""
    network = weights.load(path, KIND, lambda shape: Trunk(TrunkConfig(**shape)), generator)
    check_entry(network.shape, generator)
    return network
