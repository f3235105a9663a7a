"""How far a code lies from W and from the generator's own codes: measures of editability without any predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.protocols.inline import InlineProtocol
from methods.base import Inversion
from methods.generators import Generator
from methods.style_space import SAMPLES, anchors, styles
from metrics.base import MetricInfo

INFOS = [
    MetricInfo(
        name="layer_spread",
        title="Distance of layers from their mean",
        direction="lower",
        unit="in W",
        range=(0.0, None),
        version=1,
        recipe="Euclidean distance of each layer of the W+ code from the mean of its layers, averaged; 0 for a code of "
        "W",
        reference="after Tov et al., arXiv 2102.02766, section 3: variation among the layers",
        digits=3,
    ),
    MetricInfo(
        name="centre_distance",
        title="Distance from the mean of W",
        direction="lower",
        unit="in W",
        range=(0.0, None),
        version=1,
        recipe="Euclidean distance of the mean of the code's layers from the generator's mean of W",
        reference="ours, after Tov et al., arXiv 2102.02766, section 3",
        digits=3,
    ),
    MetricInfo(
        name="nscd",
        title="NSCD",
        direction="lower",
        unit="",
        range=(0.0, 2.0),
        version=1,
        recipe="normalised style space cosine distance: 1 - cosine of each layer's style vector and the mean direction "
        f"of those of {SAMPLES:,} seeded codes of the mapping network, averaged over the modulated 3 x 3 convolutions "
        "and the last RGB layer; of the shared generator",
        reference="Cao et al., LSAP, arXiv 2209.12746, section 3",
        digits=3,
    ),
]


def latent_distances(generator: Generator, inversion: Inversion) -> dict[str, Tensor]:
    """Both distances of one image's code."""
    layers = inversion.latent[0]
    mean = layers.mean(dim=0)
    return {
        "layer_spread": (layers - mean).norm(dim=1).mean(),
        "centre_distance": (mean - generator.w_mean.to(mean)).norm(),
    }


@torch.no_grad()
def style_distance(generator: Generator, latent: Tensor) -> Tensor:
    """NSCD of codes [N, num_ws, w_dim]: [N], in [0, 2]."""
    pairs = zip(styles(generator, latent), anchors(generator), strict=True)
    return torch.stack([1 - F.cosine_similarity(style, anchor[None]) for style, anchor in pairs]).mean(dim=0)


class LatentStatistics(InlineProtocol):
    """Statistics of the latent codes."""

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        return {"latent": INFOS}

    def values(self, generator: Generator, inversion: Inversion, seed: int) -> Mapping[str, Tensor]:
        distances = latent_distances(generator, inversion)
        return distances | {"nscd": style_distance(generator, inversion.latent)[0]}
