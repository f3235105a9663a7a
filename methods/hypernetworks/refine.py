"""Refinement steps of a hypernetwork: each sees the last one's reconstruction and adds to its change.

Reference: Alaluf et al., HyperStyle, arXiv 2111.15666, section 3.3; yuval-alaluf/hyperstyle@21193fb
utils/inference_utils.py and models/stylegan2/model.py, where a change multiplies the stored weight before it is
modulated and demodulated. So a changed weight is just another weight of the same layer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import Inversion
from methods.batching import padded
from methods.generators.stylegan2 import Generator
from methods.hypernetworks.network import Hypernetwork
from methods.resizing import pooled
from methods.synthesis import Weights, synthesise, synthesise_each


@dataclass(frozen=True)
class RefinementStep:
    """Each image's changed weights, and its image under them [N, 3, R, R], unclamped."""

    weights: list[Weights]
    image: Tensor


def refine(
    hypernet: Hypernetwork, generator: Generator, images: Tensor, init: Inversion, steps: int, batch_size: int
) -> Iterator[RefinementStep]:
    """Refinement steps, without gradient from one to the next (as the authors train).

    images: [N, 3, S, S] in [-1, 1] of the hypernetwork's side. init: their inversion; its codes and noise stay, and
    weights of its own are what the changes multiply. batch_size: images that the network sees at once, at least
    N, padded with the last one, so that an image's result does not depend on how many came with it.
    """
    own = dict(generator.named_parameters())
    started: list[Weights] = [dict(weights or {}) for weights in init.weights]
    with torch.no_grad():
        image = _images(generator, init, started)
    total: dict[str, Tensor] = {}
    for _ in range(steps):
        current = pooled(image.detach(), images.shape[-1])
        change = hypernet(padded(images, batch_size), padded(current, batch_size))
        total = {name: total[name].detach() + step if total else step for name, step in change.items()}
        weights = [
            {**start, **{name: start.get(name, own[name]) * (1 + value[n : n + 1]) for name, value in total.items()}}
            for n, start in enumerate(started)
        ]
        image = _images(generator, init, weights)
        yield RefinementStep(weights, image)


def _images(generator: Generator, init: Inversion, weights: Sequence[Weights]) -> Tensor:
    codes, noise = init.latent.to(generator.latent_avg), init.noise
    return torch.cat([synthesise(generator, codes[n : n + 1], w or None, noise[n]) for n, w in enumerate(weights)])


def refine_together(
    hypernet: Hypernetwork, generator: Generator, images: Tensor, latent: Tensor, steps: int
) -> Iterator[Tensor]:
    """Images of the refinement steps of `refine` for a training: a batch in one call, from unchanged weights.

    Args:
        hypernet: the network in training.
        generator: frozen.
        images: [N, 3, S, S] in [-1, 1] of the hypernetwork's side.
        latent: the pivots' codes [N, num_ws, w_dim].
        steps: how many.

    Yields:
        [N, 3, R, R], unclamped; without gradient from one to the next.
    """
    own = dict(generator.named_parameters())
    with torch.no_grad():
        image = generator.synthesis(latent)
    total: dict[str, Tensor] = {}
    for _ in range(steps):
        change = hypernet(images, pooled(image.detach(), images.shape[-1]))
        total = {name: total[name].detach() + step if total else step for name, step in change.items()}
        weights = {name: own[name] * (1 + value)[:, None] for name, value in total.items()}
        image = synthesise_each(generator, latent[:, None], weights)[:, 0]
        yield image


@torch.no_grad()
def last_step(
    hypernet: Hypernetwork, generator: Generator, images: Tensor, init: Inversion, steps: int, batch_size: int
) -> RefinementStep:
    """The last of at least one refinement step; arguments as of `refine`."""
    return deque(refine(hypernet, generator, images, init, steps, batch_size), maxlen=1).pop()
