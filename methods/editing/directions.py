"""Edit directions in W+ under one unit of strength.

Files of the field scale their vectors differently: InterFaceGAN's .pt are unit vectors of one layer, its .npy
boundaries are unit over all layers, GANSpace's components come with standard deviations. Here strength 1 is always one
standard deviation of what the generator's own samples spread along the direction: with n the unit normal over all
layers and w a sample of W repeated over them, `vector` = n std(<n, w>).

References: Shen et al., InterFaceGAN, arXiv 2005.09635; Harkonen et al., GANSpace, arXiv 2004.02546.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from inversion_bench.registry import unknown
from methods.generators.stylegan2 import Generator

SCALE_SAMPLES, SCALE_SEED = 10_000, 20_001


@dataclass(frozen=True)
class Direction:
    """One edit. vector [num_ws, w_dim] float32: the change of a latent for strength 1.

    attribute: what it means to change, by its name in metrics.attributes, or "" where none is known. slope: change of
    that attribute for strength 1, measured on held-out samples, in `unit`; NaN where it was not measured. source:
    where the direction comes from. kept: identity that samples keep at equal effect (metrics.editing); NaN likewise.
    """

    name: str
    attribute: str
    vector: Tensor
    slope: float = float("nan")
    unit: str = ""
    source: str = ""
    kept: float = float("nan")

    def strength(self, change: float) -> float:
        """The strength whose measured effect is `change`, in the attribute's unit.

        Raises ValueError when the slope is unknown.
        """
        if not (self.slope == self.slope and self.slope):
            raise ValueError(f"direction {self.name!r}: its effect was not measured; give a strength, e.g. +2sd")
        return change / self.slope


def apply(latent: Tensor, strengths: Mapping[str, float | Tensor], directions: Mapping[str, Direction]) -> Tensor:
    """Latents [N, num_ws, w_dim] moved along directions by strengths: numbers, or one for each latent [N].

    Raises KeyError for an unknown direction and ValueError for one of another shape.
    """
    edited = latent
    for name, strength in strengths.items():
        vector = find(name, directions).vector.to(latent)
        if vector.shape != latent.shape[1:]:
            raise ValueError(f"direction {name!r} is {list(vector.shape)}, the latents are {list(latent.shape)}")
        amount = torch.as_tensor(strength, dtype=latent.dtype, device=latent.device)
        edited = edited + (amount.reshape(-1, 1, 1) if amount.ndim else amount) * vector
    return edited


def find(name: str, directions: Mapping[str, Direction]) -> Direction:
    """The direction `name`. Raises KeyError, with the nearest and all known ones."""
    if name not in directions:
        raise unknown("direction", name, directions)
    return directions[name]


@lru_cache(maxsize=4)
@torch.no_grad()
def w_samples(generator: Generator) -> Tensor:
    """SCALE_SAMPLES codes of W [N, w_dim] on the CPU, always the same: what strengths are measured by."""
    z = torch.randn(SCALE_SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(SCALE_SEED))
    return torch.cat([generator.mapping(part.to(generator.w_mean))[:, 0].cpu() for part in z.split(1000)])


def in_strengths(raw: Tensor, generator: Generator) -> Tensor:
    """The vector [num_ws, w_dim] of strength 1 along `raw`, of any length: [w_dim] for all layers, or [num_ws, w_dim].

    Raises ValueError for another shape or a vector of length zero.
    """
    shape = (generator.num_ws, generator.w_dim)
    if raw.shape not in ((generator.w_dim,), shape):
        raise ValueError(f"a direction for this generator is {list(shape)} or [{shape[1]}], found {list(raw.shape)}")
    stacked = raw.double().expand(shape)
    length = stacked.norm()
    if not (length > 0 and bool(stacked.isfinite().all())):
        raise ValueError("the direction is zero or not finite")
    normal = stacked / length
    spread = (w_samples(generator).double() @ normal.sum(dim=0)).std()
    return (normal * spread).float()
