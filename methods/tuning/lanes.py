"""Pivotal tuning of several images at once, each with generator weights of its own.

Step for step what `methods.tuning.tune` does for one image. The weights of N generators lie in one tensor for each
parameter, [N, ...]; torch.func.vmap renders all of them in one call, the feature network sees all images in one batch,
and Adam works element by element, so that images do not influence one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from methods.base import Synthesis, Weights
from methods.features import mean_square
from methods.generators.stylegan2 import Generator
from methods.tuning.locality import neighbour_code
from methods.tuning.tune import TuningConfig, noise_of_pivot_only, tunable
from metrics.networks.lpips import Lpips

FUSED_ADAM = partial(torch.optim.Adam, fused=True)


def tune_in_lanes(
    frozen: Generator,
    starts: Sequence[Weights | None],
    pivots: Tensor,
    targets: Tensor,
    network: Lpips,
    config: TuningConfig,
    draw_z: Callable[[], Tensor],
    rate: Callable[[int], float] | None = None,
    adam: Callable[..., torch.optim.Optimizer] = FUSED_ADAM,
    chosen: Callable[[str], bool] = lambda name: True,
) -> tuple[list[Weights], list[int]]:
    """Tuned weights of each image, and the steps that it took.

    starts: weights to begin with instead of the frozen generator's, None for none. pivots [N, num_ws, w_dim], targets
    [N, 3, R, R] in [-1, 1]. draw_z: next z [N, z_dim], one locality sample of each image. An image that meets the
    stopping rule keeps the weights that it has then; the work ends when all have, or after `steps` steps: shapes never
    change, because on a CPU the last bits of a convolution depend on them. rate, adam: as in `tuning`. chosen: whether
    the parameter of a name is tuned; all by default.
    Raises FloatingPointError where the loss of an image that has not stopped is not finite.
    """
    lanes, local = list(range(len(pivots))), config.locality
    weights = {
        name: torch.stack([(w or {}).get(name, value).to(value) for w in starts]).requires_grad_(chosen(name))
        for name, value in ((name, value.detach()) for name, value in tunable(frozen))
        if chosen(name) or any(w and name in w for w in starts)
    }
    optimiser = adam([value for value in weights.values() if value.requires_grad], lr=config.lr)
    with torch.no_grad():
        wanted = network.features(targets)
    settled: dict[int, tuple[Weights, int]] = {}
    for step in range(config.steps):
        near = bool(local.weight) and step % local.interval == 0
        codes = pivots[:, None]  # [N, 1 + samples, num_ws, w_dim]
        if near:
            drawn = [neighbour_code(frozen, pivots, draw_z(), local) for _ in range(local.samples)]
            codes = torch.stack([pivots, *drawn], dim=1)
        images = _render(frozen, weights, codes)  # [N, 1 + samples, 3, R, R]
        features = network.features(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        distance = _squares(features[:, 0], wanted)  # [N]
        loss = config.l2 * mean_square(images[:, 0], targets) + config.lpips * distance
        if near:
            with torch.no_grad():
                old = frozen.synthesis(codes[:, 1:].flatten(0, 1), "none")
                old_features = network.features(old).unflatten(0, (len(lanes), local.samples))
            pixels = (images[:, 1:] - old.unflatten(0, (len(lanes), local.samples))).square().mean(dim=(2, 3, 4))
            change = local.l2 * pixels + local.lpips * _squares(features[:, 1:], old_features)
            loss = loss + local.weight * change.mean(dim=1)
        seen = zip(lanes, distance.tolist(), loss.isfinite().tolist(), strict=True)
        for lane, found, finite in [each for each in seen if each[0] not in settled]:
            if not finite:
                raise FloatingPointError(
                    f"the loss became {float(loss[lane].detach())} at tuning step {step}; lower lr"
                )
            if found <= config.stop_lpips:
                settled[lane] = _of(weights, lane), step
        if len(settled) == len(lanes):
            break
        if rate is not None:
            optimiser.param_groups[0]["lr"] = config.lr * rate(step)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        optimiser.step()
    ends = [settled.get(lane) or (_of(weights, lane), config.steps) for lane in lanes]
    return [end for end, _ in ends], [taken for _, taken in ends]


def _render(frozen: Generator, weights: Weights, codes: Tensor) -> Tensor:
    """Images [N, K, 3, R, R] of codes [N, K, num_ws, w_dim], the first of each lane with the fixed noise maps."""
    noise = noise_of_pivot_only(frozen, codes.shape[1] - 1)
    module = Synthesis(frozen)

    def lane(own: Weights, code: Tensor) -> Tensor:
        image: Tensor = functional_call(module, {f"g.{k}": v for k, v in own.items()}, (code, noise, False))
        return image

    rendered: Tensor = vmap(lane)(weights, codes)
    return rendered


def _squares(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(dim=-1)


def _of(weights: Weights, lane: int) -> Weights:
    return {name: value[lane].detach().clone() for name, value in weights.items()}
