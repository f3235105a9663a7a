"""How far a code lies from W, for which e4e trades distortion (Tov et al., arXiv 2102.02766, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from benchmarks.protocols.inline import InlineProtocol
from methods.base import Inversion
from methods.generators import Generator
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
]


def latent_distances(generator: Generator, inversion: Inversion) -> dict[str, Tensor]:
    """Both distances of one image's code."""
    layers = inversion.latent[0]
    mean = layers.mean(dim=0)
    return {
        "layer_spread": (layers - mean).norm(dim=1).mean(),
        "centre_distance": (mean - generator.w_mean.to(mean)).norm(),
    }


class LatentStatistics(InlineProtocol):
    """Statistics of the latent codes."""

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        return {"latent": INFOS}

    def values(self, generator: Generator, inversion: Inversion, seed: int) -> Mapping[str, Tensor]:
        return latent_distances(generator, inversion)
