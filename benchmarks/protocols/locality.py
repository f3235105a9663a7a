"""What tuning did to the generator elsewhere: the change of images at random latents near and far from the pivot.

The protocol is this suite's; the paper shows the effect in images only. For each image 8 random z, fixed by seed and
image; w = mapping(z) at truncation 0.7. "far" compares tuned and frozen generator at w, "near" at pivot + 0.25 (w -
pivot), both without noise, by LPIPS (AlexNet) and by mean squared error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from benchmarks.protocols.base import SkippedError
from benchmarks.protocols.inline import InlineProtocol
from methods.base import Inversion
from methods.features import mean_square, perceptual
from methods.generators import Generator
from methods.synthesis import synthesise
from metrics.base import MetricInfo

SAMPLES = 8
TRUNCATION = 0.7
STEP_NEAR = 0.25


def _info(place: str, measure: str) -> MetricInfo:
    where = "at pivot + 0.25 (w - pivot)" if place == "near" else "at w"
    return MetricInfo(
        name=f"change_{place}_{measure}",
        title=f"Change {place} ({measure.upper()})",
        direction="lower",
        unit="",
        range=(0.0, None),
        version=1,
        recipe=f"tuned against frozen generator {where}, {SAMPLES} random w (truncation {TRUNCATION}), no noise, "
        f"{'LPIPS-AlexNet' if measure == 'lpips' else 'mean squared error in [-1, 1]'}",
        reference="ours, after Roich et al., arXiv 2106.05744, section 3.3",
        digits=4,
    )


INFOS = [_info(place, measure) for place in ("near", "far") for measure in ("lpips", "mse")]


def locality(generator: Generator, inversion: Inversion, seed: int) -> dict[str, Tensor]:
    """The four values of one image. Raises SkippedError where its generator was not tuned."""
    weights = inversion.weights[0]
    if weights is None:
        raise SkippedError("the generator is not tuned")
    stream = torch.Generator().manual_seed(seed)
    z = torch.randn(SAMPLES, generator.z_dim, generator=stream).to(inversion.latent)
    w = generator.mapping(z, truncation=TRUNCATION)
    pivot = inversion.latent
    lpips = perceptual("lpips_alex").to(pivot)
    values = {}
    for place, codes in (("near", pivot + STEP_NEAR * (w - pivot)), ("far", w)):
        old = generator.synthesis(codes, "none").clamp(-1, 1)
        new = synthesise(generator, codes, weights, None, noise_mode="none").clamp(-1, 1)
        values[f"change_{place}_lpips"] = lpips(new, old).mean()
        values[f"change_{place}_mse"] = mean_square(new, old).mean()
    return values


class Locality(InlineProtocol):
    """Change of a tuned generator at random latents."""

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        return {"locality": INFOS}

    def assets(self) -> Sequence[str]:
        return ["lpips_alex"]

    def values(self, generator: Generator, inversion: Inversion, seed: int) -> Mapping[str, Tensor]:
        return locality(generator, inversion, seed)
