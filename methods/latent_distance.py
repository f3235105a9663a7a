"""How far a code lies from W: what e4e trades distortion for (Tov et al., arXiv 2102.02766, section 3)."""

from __future__ import annotations

from methods.base import Inversion
from methods.generators.stylegan2 import Generator
from metrics.base import MetricInfo

INFOS = [
    MetricInfo(
        name="row_spread",
        title="Distance of rows from their mean",
        direction="lower",
        unit="in W",
        range=(0.0, None),
        version=1,
        recipe="Euclidean distance of each row of the W+ code from the mean of its rows, averaged; 0 for a code of W",
        reference="after Tov et al., arXiv 2102.02766, section 3: variation among the rows",
        digits=3,
    ),
    MetricInfo(
        name="centre_distance",
        title="Distance from the mean of W",
        direction="lower",
        unit="in W",
        range=(0.0, None),
        version=1,
        recipe="Euclidean distance of the mean of the code's rows from the generator's mean of W",
        reference="ours, after Tov et al., arXiv 2102.02766, section 3",
        digits=3,
    ),
]


def latent_distance(generator: Generator, inversion: Inversion, seed: int) -> dict[str, float]:
    """Both distances of one image's code; nothing is drawn at random."""
    rows = inversion.latent[0]
    mean = rows.mean(dim=0)
    return {
        "row_spread": float((rows - mean).norm(dim=1).mean()),
        "centre_distance": float((mean - generator.w_mean.to(mean)).norm()),
    }
