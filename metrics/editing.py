"""Whether an inversion can be edited: pure maths over what was read from edited pictures.

An edit moves a latent along a direction of the generator; one strength is one standard deviation of the generator's w
along it (methods/editing). Everything here is about *effects*: the change of the attribute that a predictor reads,
edited picture against the inversion, in the attribute's unit. Identity is to the input, so an inversion that lost the
person has lost it at every effect.

Methods move an attribute by different amounts with one strength, and whoever moves less keeps more identity. So the
headline compares identity at equal effect (after HyperStyle's curves over strength, arXiv 2111.15666, section 4, and
ChunkyGAN, which equalises strengths by a classifier's response); the protocol of PTI (arXiv 2106.05744, section 4),
effect and identity at the same step, stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from metrics.base import UNDEFINED

STEP = 1.5  # strength of the same-step protocol; its nominal effect is the range of identity at equal effect
STRENGTHS = (STEP, 2 * STEP)  # the sweep, to both sides
LEAST_SHARE = 0.1  # of the nominal effect: what other changes are divided by is never less
IN_SEQUENCE = 3  # directions of the sequential edit

# Value of one metric on one image, or None and why there is none.
Value = tuple[float | None, str]


@dataclass(frozen=True)
class Target:
    """An edited attribute. slope: its change per strength on the frozen generator's own samples, positive."""

    name: str
    title: str
    unit: str
    slope: float

    @property
    def reach(self) -> float:
        """The effects compared, -reach to reach: what STEP does to the generator's samples, in two digits."""
        nominal = abs(self.slope) * STEP
        return round(nominal, 1 - math.floor(math.log10(nominal)))


@dataclass(frozen=True)
class Reading:
    """What was read from one picture. identity: to the input; values: by attribute, NaN where it cannot be read.

    kept: identity to the inversion, 1 of the inversion itself: what the edit alone costs.
    outside: root mean square change against the inversion outside the input's interest region, in [-1, 1] values;
    NaN where the input has no region.
    """

    identity: float
    values: Mapping[str, float]
    outside: float = math.nan
    kept: float = 1.0


@dataclass(frozen=True)
class Edits:
    """All readings of one method on one image. target_values: the attributes of the input itself.

    single: by (attribute, strength); sequence: by the strength of all IN_SEQUENCE edits together.
    """

    target_values: Mapping[str, float]
    inversion: Reading
    single: Mapping[tuple[str, float], Reading] = field(default_factory=dict)
    sequence: Mapping[float, Reading] = field(default_factory=dict)


def identity_over_effect(effects: Sequence[float], identities: Sequence[float], reach: float) -> tuple[float, float]:
    """Mean of the identity over the effects from 0 to `reach`, and the share of them that was reached.

    effects, identities [K]: along growing strength, the first of no edit (effect 0). The identity at an effect is the
    one where the path first gets there, linear between neighbours. An effect that is not reached counts as identity
    0, that of strangers; a picture whose attribute cannot be read (NaN) reaches nothing.
    Raises ValueError for paths of unlike length, without a start, or a reach that is not positive.
    """
    if not reach > 0:
        raise ValueError(f"expected a positive range of effects, found {reach}")
    pieces = [(low, min(high, reach), at) for low, high, at in _first_reached(effects, identities) if low < reach]
    area = sum((high - low) * at((low + high) / 2) for low, high, at in pieces)  # the middle: identity is linear
    return area / reach, sum(high - low for low, high, _ in pieces) / reach


def identity_at(effects: Sequence[float], identities: Sequence[float], level: float) -> float:
    """The identity at one effect of the same curve, for drawing; NaN where it is not reached."""
    if level == 0:
        return identities[0]
    for low, high, at in _first_reached(effects, identities):
        if low <= level <= high:
            return at(level)
    return math.nan


def _first_reached(
    effects: Sequence[float], identities: Sequence[float]
) -> Iterator[tuple[float, float, Callable[[float], float]]]:
    """Ranges of effects in the order in which the path first reaches them, each with its identity by effect."""
    if len(effects) != len(identities) or not effects or effects[0] != 0:
        raise ValueError(
            f"expected effects and identities of one length that begin with effect 0, found {list(effects)} and "
            f"{list(identities)}"
        )
    furthest = 0.0
    for (before, id_before), (after, id_after) in pairwise(zip(effects, identities, strict=True)):
        if math.isnan(after):
            continue
        if not math.isnan(before) and after > max(furthest, before):
            slope = (id_after - id_before) / (after - before)
            yield max(furthest, before), after, partial(_linear, before, id_before, slope)
        furthest = max(furthest, after)


def _linear(start: float, value: float, slope: float, at: float) -> float:
    return value + slope * (at - start)


def effect(edits: Edits, attribute: str, strength: float) -> float:
    """Change of the attribute by its own edit, in its unit; NaN where either picture cannot be read."""
    return edits.single[attribute, strength].values[attribute] - edits.inversion.values[attribute]


def path(edits: Edits, attribute: str, sign: int, *, kept: bool = False) -> tuple[list[float], list[float]]:
    """Effects in the asked-for sense and identities along growing strength, beginning with the inversion itself.

    The identities are to the input, or to the inversion (kept).
    """
    steps = sorted(abs(s) for name, s in edits.single if name == attribute and s * sign > 0)
    effects = [0.0, *(sign * effect(edits, attribute, sign * s) for s in steps)]
    readings = [edits.inversion, *(edits.single[attribute, sign * s] for s in steps)]
    return effects, [reading.kept if kept else reading.identity for reading in readings]


def at_equal_effect(edits: Edits, target: Target, *, kept: bool = False) -> tuple[Value, Value]:
    """Mean identity (to the inversion: kept) over the effects -reach to reach, and the share of them that was reached.

    Without a value where the attribute of the input cannot be read, which is the same for all methods; where only
    that of the inversion cannot, nothing is reached.
    """
    if math.isnan(edits.target_values[target.name]):
        reason = f"{target.name} cannot be read from the input"
        return _undefined(reason), _undefined(reason)
    sides = [identity_over_effect(*path(edits, target.name, sign, kept=kept), target.reach) for sign in (-1, 1)]
    return (mean([side[0] for side in sides]), ""), (mean([side[1] for side in sides]), "")


def same_step(edits: Edits, target: Target) -> tuple[Value, Value]:
    """Effect of STEP in the asked-for sense and identity, each the mean over both senses."""
    identity = mean([edits.single[target.name, sign * STEP].identity for sign in (-1, 1)])
    effects = [sign * effect(edits, target.name, sign * STEP) for sign in (-1, 1)]
    if math.isnan(sum(effects)):
        reason = f"{target.name} cannot be read from the inversion or from an edited picture"
        return _undefined(reason), (identity, "")
    return (mean(effects), ""), (identity, "")


def in_sequence(edits: Edits, targets: Sequence[Target]) -> tuple[Value, Value]:
    """Effect as a share of the nominal one, mean over the attributes edited one after the other, and identity."""
    identity = mean([edits.sequence[sign * STEP].identity for sign in (-1, 1)])
    shares = []
    for target in targets[:IN_SEQUENCE]:
        values = [edits.sequence[sign * STEP].values[target.name] for sign in (-1, 1)]
        share = (values[1] - values[0]) / 2 / (STEP * target.slope)
        if not math.isnan(share):
            shares.append(share)
    if not shares:
        return _undefined("no attribute can be read from the pictures edited in sequence"), (identity, "")
    return (mean(shares), ""), (identity, "")


def entanglement(edits: Edits, targets: Sequence[Target]) -> Value:
    """How far the other attributes move for each unit that the edited one moves, both in nominal effects.

    For each attribute: mean over the others and both senses of |change| / nominal, divided by the edited one's
    effect / nominal (at least LEAST_SHARE); then the mean over attributes (StyleTransformer's attribute dependency,
    arXiv 2203.07932, with our units).
    """
    found = []
    for target in targets:
        others = [
            abs(edits.single[target.name, sign * STEP].values[other.name] - edits.inversion.values[other.name])
            / (STEP * other.slope)
            for other in targets
            for sign in (-1, 1)
            if other.name != target.name
        ]
        readable = [change for change in others if not math.isnan(change)]
        (own, _), _ = same_step(edits, target)
        if own is not None and readable:
            found.append(mean(readable) / max(own / (STEP * target.slope), LEAST_SHARE))
    return (mean(found), "") if found else _undefined("no attribute can be read with another one")


def change_outside(edits: Edits, targets: Sequence[Target]) -> Value:
    """Change outside the interest region for each nominal effect, mean over attributes (as `entanglement`)."""
    found = []
    for target in targets:
        (own, _), _ = same_step(edits, target)
        change = mean([edits.single[target.name, sign * STEP].outside for sign in (-1, 1)])
        if own is not None and not math.isnan(change):
            found.append(change / max(own / (STEP * target.slope), LEAST_SHARE))
    if not found:
        return _undefined("no interest region in the input, or no attribute can be read")
    return mean(found), ""


def _undefined(reason: str) -> Value:
    return None, f"{UNDEFINED}{reason}"


def average(values: Sequence[Value]) -> Value:
    """Mean of those that have a value; the first reason where none has."""
    known = [value for value, _ in values if value is not None]
    return (mean(known), "") if known else (None, values[0][1])


def latent_distance(latents: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance of codes [N, num_ws, w_dim], flattened -> [N].

    With w and the code of (inverted, edited, inverted, undone) it is latent editing consistency (Tov et al., arXiv
    2102.02766, section 5; omertov/encoder4editing, metrics/LEC.py, there trimmed to the 1st to 99th percentile of
    batch means, here of no image).
    """
    return (latents - others).flatten(1).norm(dim=1)


def path_length(steps: Tensor) -> Tensor:
    """Perceptual path length of lines [N, K]: LPIPS of K neighbours on the line, over the square of 1/K, mean -> [N].

    Karras et al., arXiv 1812.04948, section 4.1, with steps of 1/K instead of 1e-4, which survive 8 bits.
    """
    return steps.mean(dim=1) * steps.shape[1] ** 2


def detour(steps: Tensor, ends: Tensor) -> Tensor:
    """Path length of lines [N, K] over the LPIPS of their ends [N]: 1 where change is even and leads straight on.

    Ends that are alike make any line short, so lengths alone would praise an inversion that makes one face of all.
    """
    return path_length(steps) / ends


def pseudo_values(whole: float, without: Sequence[float]) -> list[float]:
    """Tukey's jackknife: a value an image for a number that only a set has.

    whole: the number of all n images; without: that of all but the i-th [n]. The mean of n * whole - (n - 1) *
    without[i] is the number with its bias of order 1/n removed, and their spread is its uncertainty, so a set's number
    can stand, be averaged and be compared like any other metric's (Efron, The Jackknife, the Bootstrap, 1982).
    """
    n = len(without)
    if n < 2:
        raise ValueError(f"a jackknife needs at least two images, found {n}")
    return [n * whole - (n - 1) * each for each in without]


def frechet_pseudo_values(features: Tensor, mean_ref: Tensor, root_ref: Tensor) -> list[float]:
    """Pseudo-values of the Frechet distance of features [n, D] to a reference of mean [D] and covariance root [D, m].

    root_ref: C = root root^T, so that the trace of (C C')^(1/2) is a sum of singular values of a matrix of the
    images' numbers, not of D. float64. Raises ValueError for fewer than three images.
    """
    n = len(features)
    if n < 3:
        raise ValueError(f"Frechet pseudo-values need at least three images, found {n}")

    def distance(rows: Tensor) -> float:
        root = (rows - rows.mean(dim=0)) / math.sqrt(len(rows) - 1)  # [n, D]
        cross = torch.linalg.svdvals(root @ root_ref).sum()
        gap = (rows.mean(dim=0) - mean_ref).square().sum()
        return float(gap + root.square().sum() + root_ref.square().sum() - 2 * cross)

    features = features.double()
    keep = ~torch.eye(n, dtype=torch.bool)
    return pseudo_values(distance(features), [distance(features[row]) for row in keep])


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] and covariance root [D, n] of features [n, D], float64, for `frechet_pseudo_values`."""
    features = features.double()
    centre = features.mean(dim=0)
    return centre, ((features - centre) / math.sqrt(len(features) - 1)).T


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
