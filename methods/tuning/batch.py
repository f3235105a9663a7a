"""Pivotal tuning of several images at once, each with generator weights of its own.

Step for step what `methods.tuning.tune` does for one image. The weights of N generators lie in one tensor for each
parameter, [N, ...]; torch.func.vmap renders all of them in one call, the feature network sees all images in one batch,
and the optimizer works on each generator by itself, so that images do not influence one another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from methods.feature_maps import Features, at_codes, stacked
from methods.features import mean_square
from methods.generators.stylegan2 import Generator
from methods.replay import Replay
from methods.synthesis import Weights, synthesise_each
from methods.tuning.locality import neighbour_code
from methods.tuning.optimizers import learning_rate_factor, make_optimizer
from methods.tuning.tune import TuningConfig, noise_of_pivot_only, tunable
from metrics.networks.lpips import Lpips


def tune_batch(
    frozen: Generator,
    starts: Sequence[Weights | None],
    pivots: Tensor,
    targets: Tensor,
    network: Lpips,
    config: TuningConfig,
    draw_z: Callable[[], Tensor],
    features: Sequence[Features] = (),
) -> tuple[list[Weights], list[int]]:
    """Tune a generator for each of N images.

    An image that meets the stopping rule keeps the weights that it has then. The work ends when all have met it, or
    after `steps` steps: shapes never change, because on a CPU the last bits of a convolution depend on them.

    Args:
        frozen: the generator that tuning starts from, and that the locality term compares with.
        starts: for each image the parameters that it begins with instead of the frozen generator's, or None.
        pivots: [N, num_ws, w_dim].
        targets: [N, 3, R, R] in [-1, 1].
        network: LPIPS of the loss.
        config: losses, steps and optimizer.
        draw_z: returns the next z [N, z_dim], one locality sample of each image.
        features: feature maps of the N images; they stay as they are at the pivots.

    Returns:
        Tuned weights of each image, and the steps that each took.

    Raises:
        FloatingPointError: the loss of an image that has not stopped is not finite.
    """
    count, locality = len(pivots), config.locality
    tuned = {name for name, _ in tunable(frozen, config.affine)}
    weights = stacked_weights(frozen, starts, tuned)
    parameters = [value for value in weights.values() if value.requires_grad]
    optimizer = make_optimizer(config.optimizer, parameters, config.lr, stacked=True)
    with torch.no_grad():
        target_features = network.features(targets)
    maps = stacked([at_codes(edits, pivots[i : i + 1], frozen) for i, edits in enumerate(features)]) if features else ()
    z = pivots.new_empty(locality.samples, count, frozen.z_dim)

    def gradients(with_locality: bool) -> Tensor:
        """Gradients of the summed losses in all weights; losses and LPIPS [2, N]."""
        codes = pivots[:, None]  # [N, 1 + samples, num_ws, w_dim]
        if with_locality:
            codes = torch.stack([pivots, *(neighbour_code(frozen, pivots, sample, locality) for sample in z)], dim=1)
        noise = noise_of_pivot_only(frozen, codes.shape[1] - 1)
        images = synthesise_each(frozen, codes, weights, noise, maps)  # [N, 1 + samples, 3, R, R]
        seen = network.features(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        distance = _squared_distance(seen[:, 0], target_features)  # [N]
        loss = config.l2 * mean_square(images[:, 0], targets) + config.lpips * distance
        if with_locality:
            with torch.no_grad():
                original = frozen.synthesis(codes[:, 1:].flatten(0, 1), "none")
                original_features = network.features(original).unflatten(0, (count, locality.samples))
            squares = (images[:, 1:] - original.unflatten(0, (count, locality.samples))).square().mean(dim=(2, 3, 4))
            change = locality.l2 * squares + locality.lpips * _squared_distance(seen[:, 1:], original_features)
            loss = loss + locality.weight * change.mean(dim=1)
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        return torch.stack([loss, distance]).detach()

    recorded = cache(lambda near: Replay(partial(gradients, near), pivots.device, parameters))
    stopped: dict[int, tuple[Weights, int]] = {}
    for step in range(config.steps):
        with_locality = bool(locality.weight) and step % locality.interval == 0
        if with_locality:
            z.copy_(torch.stack([draw_z() for _ in range(locality.samples)]))
        losses, distances = recorded(with_locality)().tolist()
        for i, (loss, lpips) in enumerate(zip(losses, distances, strict=True)):
            if i in stopped:
                continue
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss became {loss} at tuning step {step}; lower lr")
            if lpips <= config.stop_lpips:
                stopped[i] = of_image(weights, i), step
        if len(stopped) == count:
            break
        factor = learning_rate_factor(config.optimizer, (step + 0.5) / config.steps)
        optimizer.param_groups[0]["lr"] = config.lr * factor
        optimizer.step()
    ends = [stopped.get(i) or (of_image(weights, i), config.steps) for i in range(count)]
    return [end for end, _ in ends], [taken for _, taken in ends]


def stacked_weights(frozen: Generator, starts: Sequence[Weights | None], tuned: set[str]) -> Weights:
    """Weights [N, ...] of N generators: those of `tuned`, which want a gradient, and all that an image starts with."""
    return {
        name: torch.stack([(w or {}).get(name, value).to(value) for w in starts]).requires_grad_(name in tuned)
        for name, value in ((name, value.detach()) for name, value in tunable(frozen))
        if name in tuned or any(w and name in w for w in starts)
    }


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(dim=-1)


def of_image(weights: Weights, i: int) -> Weights:
    """The weights of image i out of those of N."""
    return {name: value[i].detach().clone() for name, value in weights.items()}
