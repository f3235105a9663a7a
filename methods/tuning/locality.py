"""PTI's locality regularisation: the tuned generator must agree with the frozen one near the pivot.

Reference: Roich et al., "Pivotal Tuning for Latent-based Editing of Real Images", arXiv 2106.05744, section 3.3;
danielroich/PTI criteria/localitly_regulizer.py (da94d59).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.generators.stylegan2 import Generator

PairDistance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LocalityConfig:
    """Settings of the regulariser; paper and code agree on all numbers.

    weight: factor of the whole term; 0 turns it off, as the released code does since June 2021 for speed.
    alpha: length of the step from the pivot towards a sample, one norm over the whole code [num_ws, w_dim]: with
    equal layers a layer moves by alpha / sqrt(num_ws), 7.07 for 18 layers. samples: N_r of the paper. interval:
    evaluate at every k-th step, the first included (the released code counts over all images of a run).
    """

    weight: float = 1.0
    alpha: float = 30.0
    l2: float = 0.1
    lpips: float = 0.1
    samples: int = 1
    interval: int = 1
    truncation: float = 0.5


def interpolated_code(pivot: Tensor, w: Tensor, alpha: float) -> Tensor:
    """w_r = w_p + alpha (w - w_p) / ||w - w_p||_2 with one norm over each code. Both [N, num_ws, w_dim]."""
    direction = w - pivot
    return pivot + alpha * direction / direction.flatten(1).norm(dim=1)[:, None, None]


def locality_loss(squares: Tensor, distances: Tensor, config: LocalityConfig) -> Tensor:
    """The term, 0-d, from mean squared errors and LPIPS [N_r] of tuned against frozen generator at the neighbours."""
    return (config.l2 * squares + config.lpips * distances).mean()


def neighbour_code(generator: Generator, pivot: Tensor, z: Tensor, config: LocalityConfig) -> Tensor:
    """A code near the pivot [1, num_ws, w_dim] in the direction of the truncated sample of z [1, z_dim]."""
    with torch.no_grad():
        return interpolated_code(pivot, generator.mapping(z, truncation=config.truncation), config.alpha)
