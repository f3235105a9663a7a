"""Pivotal tuning of a generator around one pivot or several.

Reference: Roich et al., arXiv 2106.05744, section 3.2 and 3.3; danielroich/PTI training/coaches (da94d59).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import torch
from torch import Tensor

from methods.feature_maps import Features, at_codes, change_of, option
from methods.features import mean_square
from methods.generators.stylegan2 import Generator, MapChange
from methods.replay import Replay
from methods.tuning.locality import LocalityConfig, PairDistance, locality_loss, neighbour_code
from methods.tuning.optimizers import OptimizerConfig, learning_rate_factor, make_optimizer


@dataclass(frozen=True)
class TuningConfig:
    """Hyper-parameters of pivotal tuning; defaults are those of paper and released code.

    stop_lpips: stop before the step once LPIPS is this low (0.07 in the first release); 0 never stops.
    Either weight may be 0 (the released code needs both positive). Where paper and code differ: the paper tunes
    with the locality term, the code ships with it off (`locality.weight`); the paper is the default. affine: tune the
    maps from w to styles, too; at one fixed pivot a change of style is no more than a change of the columns of the next
    convolution, so that tuning them costs time and adds nothing. lr: the highest rate of a schedule (`optimizer`).
    """

    steps: int = 350
    lr: float = 3e-4
    l2: float = 1.0
    lpips: float = 1.0
    stop_lpips: float = 0.06
    locality: LocalityConfig = field(default_factory=LocalityConfig)
    affine: bool = True
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass(frozen=True)
class TuningStep:
    """Losses of one step, before it is taken; `taken` is False where the stopping rule ended the tuning."""

    index: int
    image: int
    total: float
    l2: float
    lpips: float
    locality: float
    taken: bool


def tunable(generator: Generator, affine: bool = True) -> list[tuple[str, Tensor]]:
    """All parameters but the mapping network's, which gets no gradient from a fixed pivot (in the code, too).

    affine: False leaves out the maps from w to styles.
    """
    return [
        (name, value)
        for name, value in generator.named_parameters()
        if not name.startswith("style.") and (affine or ".modulation." not in name)
    ]


def tune_shared(
    frozen: Generator,
    tuned: Generator,
    pivots: Tensor,
    targets: Tensor,
    lpips: PairDistance,
    config: TuningConfig,
    draw_z: Callable[[], Tensor],
    features: Sequence[Features] = (),
) -> Iterator[TuningStep]:
    """Tune one generator for one image, or for several that share it; yields once a step.

    One image: at most `steps` steps, ended by the stopping rule. Several: one step an image in turn, `steps` rounds, no
    early stop (the code's MultiIDCoach).

    Args:
        frozen: the generator that the locality term compares with.
        tuned: a copy of it, which is changed in place.
        pivots: [N, num_ws, w_dim].
        targets: [N, 3, R, R] in [-1, 1].
        lpips: distance of pairs of images, [M, 3, R, R] twice -> [M].
        config: losses, steps and optimizer.
        draw_z: returns the next z [1, z_dim] of the locality samples, which are directions for the pivot at hand.
        features: feature maps of the N images; they stay as they are at the pivot.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    parameters = [value.requires_grad_(True) for _, value in tunable(tuned, config.affine)]
    optimizer = make_optimizer(config.optimizer, parameters, config.lr, stacked=False)
    changes = [
        change_of(at_codes(edits, pivots[i : i + 1], frozen), rows=1)
        for i, edits in enumerate(features or ((),) * len(pivots))
    ]
    locality, count, total_steps = config.locality, 0, config.steps * len(pivots)
    z = pivots.new_empty(locality.samples, 1, frozen.z_dim)

    def gradients(i: int, with_locality: bool) -> Tensor:
        """Gradients of image i's loss in the parameters; the loss and its parts [4]."""
        pivot, codes = pivots[i : i + 1], pivots[:0]
        if with_locality:
            codes = torch.cat([neighbour_code(frozen, pivot, sample, locality) for sample in z])
        parts = step_losses(frozen, tuned, pivot, codes, targets[i : i + 1], lpips, config, changes[i])
        optimizer.zero_grad(set_to_none=True)
        parts[0].backward()
        return torch.stack(parts).detach()

    recorded = cache(lambda i, near: Replay(partial(gradients, i, near), pivots.device, parameters))
    for _ in range(config.steps):
        for i in range(len(pivots)):
            with_locality = bool(locality.weight) and count % locality.interval == 0
            if with_locality:
                z.copy_(torch.stack([draw_z() for _ in range(locality.samples)]))
            loss, l2, distance, near = recorded(i, with_locality)().tolist()
            stop = len(pivots) == 1 and distance <= config.stop_lpips
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss became {loss} at tuning step {count}; lower lr")
            if not stop:
                factor = learning_rate_factor(config.optimizer, (count + 0.5) / total_steps)
                optimizer.param_groups[0]["lr"] = config.lr * factor
                optimizer.step()
                count += 1
            yield TuningStep(count, i, loss, l2, distance, near, taken=not stop)
            if stop:
                return


def step_losses(
    frozen: Generator,
    tuned: Generator,
    pivot: Tensor,
    codes: Tensor,
    target: Tensor,
    lpips: PairDistance,
    config: TuningConfig,
    change: MapChange | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss of a step, and its parts: mean squared error, LPIPS and the locality term, all 0-d.

    Args:
        frozen: the generator that the locality term compares with.
        tuned: the generator that gets the gradient.
        pivot: [1, num_ws, w_dim].
        codes: neighbours of the pivot [K, num_ws, w_dim]; none where the step has no locality term.
        target: [1, 3, R, R] in [-1, 1].
        lpips: distance of pairs of images, [M, 3, R, R] twice -> [M].
        config: weights of the parts.
        change: of the first map of every batch, which is the pivot's.
    """
    # The pivot and its neighbours in one batch: on a CPU two images at once cost far less than one by one.
    noise = noise_of_pivot_only(tuned, len(codes))
    image = tuned.synthesis(torch.cat([pivot, codes]), noise, **option(change))
    with torch.no_grad():
        wanted = torch.cat([target, frozen.synthesis(codes, "none")]) if len(codes) else target
    squares, distances = mean_square(image, wanted), lpips(image, wanted)
    loss = config.l2 * squares[0] + config.lpips * distances[0]
    near = torch.zeros_like(loss)
    if len(codes):
        near = locality_loss(squares[1:], distances[1:], config.locality)
        loss = loss + config.locality.weight * near
    return loss, squares[0], distances[0], near


def noise_of_pivot_only(generator: Generator, neighbours: int) -> list[Tensor]:
    """The fixed noise maps for the first code of a batch and none for the rest, as the released code renders them."""
    return [
        torch.cat([level, torch.zeros_like(level).expand(neighbours, -1, -1, -1)])
        for level in generator.noise_buffers()
    ]


@torch.no_grad()
def copy_for_tuning(generator: Generator, weights: Mapping[str, Tensor] | None = None) -> Generator:
    """An independent copy whose weights may change. weights: the parameters that it begins with instead of its own."""
    tuned = copy.deepcopy(generator)
    own = dict(tuned.named_parameters())
    for name, value in (weights or {}).items():
        own[name].copy_(value)
    return tuned
