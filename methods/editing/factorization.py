"""Directions from a generator's weights alone: what its modulations amplify most.

References: Shen and Zhou, SeFa, arXiv 2007.06600, section 3.2; its form in omertov/encoder4editing (editings/sefa.py)
and in rosinality/stylegan2-pytorch (closed_form_factorization.py). They need no labels, and nobody knows beforehand
what a direction changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.generators.stylegan2 import Generator


def sefa(generator: Generator, rows: Sequence[int], count: int) -> tuple[Tensor, Tensor]:
    """The `count` leading directions [count, w_dim] of unit length for rows of W+, and their eigenvalues [count].

    Eigenvectors of W W^T, W [w_dim, channels] the modulation weights of the convolutions that the rows drive, each
    column of unit length; float64. The released code takes the vectors in whatever order they are computed; here
    they come by eigenvalue. The sign is free: element 0 is positive. Row 0 drives `conv1`, row i > 0 `convs.(i-1)`;
    the released code looks at the weights of rows 2 to 5 and then moves rows 1 to 4: here they are the same rows.
    """
    convolutions = [generator.conv1, *generator.convs]
    if not rows or not all(0 <= row < len(convolutions) for row in rows):
        raise ValueError(f"rows must be some of 0 to {len(convolutions) - 1}, found {list(rows)}")
    weights = torch.cat([_modulation(convolutions[row]) for row in rows]).T  # [w_dim, channels]
    weights = weights / weights.norm(dim=0, keepdim=True)
    values, vectors = torch.linalg.eigh(weights @ weights.T)
    return _signed(vectors.flip(1)[:, :count].T), values.flip(0)[:count]


def closed_form(generator: Generator, count: int) -> tuple[Tensor, Tensor]:
    """The `count` leading right singular vectors [count, w_dim] of all modulation weights stacked, and the values.

    Stacked are `conv1`, `to_rgb1` and `convs`; the other `to_rgbs` are left out, as in the released code. float64,
    element 0 of each vector positive.
    """
    weights = torch.cat([_modulation(part) for part in (generator.conv1, generator.to_rgb1, *generator.convs)])
    _, values, vectors = torch.linalg.svd(weights, full_matrices=False)
    return _signed(vectors[:count]), values[:count]


def _modulation(layer: torch.nn.Module) -> Tensor:
    """Stored weights [channels, w_dim] of a styled layer's modulation, float64."""
    return layer.conv.modulation.weight.detach().cpu().double()  # type: ignore[union-attr, operator]


def _signed(vectors: Tensor) -> Tensor:
    return vectors * torch.where(vectors[:, :1] < 0, -1.0, 1.0)
