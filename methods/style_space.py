"""Directions of style vectors: where the generator's own codes lie in them, and how far a code is from there.

Reference: Cao et al., LSAP: Rethinking Inversion Fidelity, Perception and Editability in GAN Latent Space, arXiv
2209.12746; caopulan/GANInverter@e3d5d4d.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.generators.stylegan2 import Generator

SAMPLES = 10_000
_anchors: WeakKeyDictionary[Generator, list[Tensor]] = WeakKeyDictionary()


def styles(generator: Generator, latent: Tensor) -> Iterator[Tensor]:
    """Style vectors of codes [N, num_ws, w_dim] at length 1, [N, channels] each: all 3x3 layers, the last RGB layer."""
    layers: list[nn.Module] = [generator.conv1, *generator.convs, generator.to_rgbs[-1]]
    for layer, w in zip(layers, latent.unbind(1), strict=True):
        yield F.normalize(layer.conv.modulation(w))  # type: ignore[operator, union-attr]


@torch.no_grad()
def mean_styles(generator: Generator, z: Tensor) -> list[Tensor]:
    """The mean of `styles` of z [M, z_dim], a vector for each layer; not at length 1."""
    return [style.mean(dim=0) for style in styles(generator, generator.mapping(z))]


def anchors(generator: Generator) -> list[Tensor]:
    """`mean_styles` of SAMPLES seeded z, computed once for a generator."""
    if generator not in _anchors:
        z = torch.randn(SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(0)).to(generator.w_mean)
        _anchors[generator] = mean_styles(generator, z)
    return _anchors[generator]


def alignment_loss(generator: Generator, latent: Tensor, means: Sequence[Tensor], layers: int | None = None) -> Tensor:
    """LSAP's loss of codes [N, num_ws, w_dim]: minus the sum over layers of the mean product of style and mean.

    layers: the first ones alone, as progressive training has them; None for all.
    """
    pairs = islice(zip(styles(generator, latent), means, strict=True), layers)
    return -torch.stack([(style @ mean).mean() for style, mean in pairs]).sum()
