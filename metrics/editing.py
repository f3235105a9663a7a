"""Editability of an inversion: pure functions of measurements on edited images.

An edit moves a latent code along a direction of the generator; a strength of 1 is one standard deviation of the
generator's w along it (methods/editing). The metrics are about *effects*: the change of an attribute's prediction from
the inversion to the edited image, in the attribute's unit. Identity is to the target, so an inversion that loses the
person has lost it at all effects.

At one strength, methods change an attribute by different amounts, and those that change less preserve more identity.
The main metric therefore compares identity at equal effect (after HyperStyle's curves over strength, arXiv 2111.15666,
section 4, and ChunkyGAN, which equalises strengths by a classifier's response); effect and identity at the same step
follow PTI (arXiv 2106.05744, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import isotonic_regression
from torch import Tensor

STEP = 1.5  # strength of the same-step protocol; its nominal effect is the range of identity at equal effect
STRENGTHS = tuple(STEP * third / 3 for third in range(1, 8))  # of the sweep, with both signs
SHEET = (STEP, 2 * STEP)  # of the edited images that are stored
# SFace's cosine of two people, the mean over all 6,786 pairs of 120 samples of celeba64 that have a face (standard
# deviation 0.14). Effects that are not reached count with it, and no identity counts as less.
STRANGERS = 0.18
LEAP = 0.5  # of the range of effects: identity between two strengths further apart than that is not read off a line
LEAST_SHARE = 0.1  # of the nominal effect: lower bound of the divisor of other changes
STILL_SAMPLES = 48  # of the generator, which say where an edit changes nothing
IN_SEQUENCE = 3  # directions of the sequential edit

# Value of one metric on one image, or None with the reason.
Value = tuple[float | None, str]


@dataclass(frozen=True)
class Target:
    """An edited attribute.

    Attributes:
        slope: its change per strength on samples of the frozen generator, positive.
        kept: identity that the same effects keep on samples of the generator (`at_equal_effect`); NaN if not measured.
    """

    name: str
    title: str
    unit: str
    slope: float
    kept: float = math.nan

    @property
    def reach(self) -> float:
        """Effects are compared from -reach to reach: the effect of STEP on samples of the generator, in two digits."""
        nominal = abs(self.slope) * STEP
        return round(nominal, 1 - math.floor(math.log10(nominal)))


@dataclass(frozen=True)
class Reading:
    """Measurements on one image.

    Attributes:
        identity: cosine similarity to the target.
        values: by attribute; NaN where the predictor is undefined.
        outside: root mean square change from the inversion outside the target's interest region, of values in [-1, 1];
            NaN where the target has no region.
        kept: cosine similarity to the inversion: the loss of identity by the edit alone.
        still: by measure, how the image keeps the target where the edit should change nothing (methods/editing/still).
    """

    identity: float
    values: Mapping[str, float]
    outside: float = math.nan
    kept: float = 1.0
    still: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Edits:
    """All measurements of one method on one image.

    Attributes:
        target_values: attributes of the target.
        inversion: before editing.
        single: by (attribute, strength).
        sequence: by the strength of the IN_SEQUENCE edits, applied one after the other.
    """

    target_values: Mapping[str, float]
    inversion: Reading
    single: Mapping[tuple[str, float], Reading] = field(default_factory=dict)
    sequence: Mapping[float, Reading] = field(default_factory=dict)


def identity_over_effect(effects: Sequence[float], identities: Sequence[float], reach: float) -> tuple[float, float]:
    """Mean identity over the effects from 0 to `reach` of `identity_curve`, and the fraction of them that was reached.

    Args:
        effects, identities: [K], by increasing strength; the first ones are of the inversion (effect 0).
        reach: positive, in the unit of the effects.

    Raises:
        ValueError: the lengths differ, the path does not start at effect 0, or reach is not positive.
    """
    at, fitted = identity_curve(effects, identities, reach)
    end = min(at[-1], reach)
    if math.isnan(fitted[0]):  # the target has no face
        return math.nan, end / reach
    knots = np.array([*(level for level in at if level < end), end])
    heights = np.interp(knots, at, fitted)
    area = float((np.diff(knots) * (heights[1:] + heights[:-1]) / 2).sum()) + STRANGERS * (reach - end)
    return area / reach, end / reach


def identity_at(effects: Sequence[float], identities: Sequence[float], level: float, reach: float) -> float:
    """The identity at one effect of the same curve (for plots); NaN where it is not reached."""
    at, fitted = identity_curve(effects, identities, reach)
    return float(np.interp(level, at, fitted)) if level <= at[-1] else math.nan


def identity_curve(
    effects: Sequence[float], identities: Sequence[float], reach: float
) -> tuple[list[float], list[float]]:
    """Identity over effect: the corners of a falling curve from effect 0 to the largest effect that was reached.

    Effects are fitted to grow with the strength and identities to fall with it (isotonic regression), identities are
    at least STRANGERS, and strengths with an undefined effect are left out. Of strengths with one effect the weakest
    counts. Between neighbours the curve is linear, but it has fallen to the second identity LEAP of the range after
    the first effect: a path that jumps shows nothing of what lies between, and gets no credit for it.

    Args:
        effects, identities, reach: as in identity_over_effect.

    Raises:
        ValueError: as identity_over_effect.
    """
    if not reach > 0:
        raise ValueError(f"expected a positive range of effects, found {reach}")
    if len(effects) != len(identities) or not effects or effects[0] != 0:
        raise ValueError(
            f"expected effects and identities of one length that start with effect 0, found {list(effects)} and "
            f"{list(identities)}"
        )
    read = np.isfinite(effects)
    read[0] = True
    falling = np.maximum(np.asarray(identities, dtype=float)[read], STRANGERS)
    if np.isfinite(falling).all():  # else the target has no face, and no effect has an identity
        falling = isotonic_regression(falling, increasing=False).x
    growing = np.asarray(effects, dtype=float)[read][1:]
    if len(growing):
        growing = isotonic_regression(growing).x.clip(min=0)
    at, fitted = [0.0], [float(falling[0])]
    for level, identity in zip(growing, falling[1:], strict=True):
        if level > at[-1]:
            if level - at[-1] > LEAP * reach:
                at.append(at[-1] + LEAP * reach)
                fitted.append(float(identity))
            at.append(float(level))
            fitted.append(float(identity))
    return at, fitted


def effect(edits: Edits, attribute: str, strength: float) -> float:
    """Change of an attribute by its own edit, in its unit; NaN where a prediction is undefined."""
    return edits.single[attribute, strength].values[attribute] - edits.inversion.values[attribute]


def path(edits: Edits, attribute: str, sign: int, *, kept: bool = False) -> tuple[list[float], list[float]]:
    """Effects and identities by increasing strength, starting with the inversion.

    Args:
        edits: of one image.
        attribute: the edited attribute.
        sign: +1 or -1, the direction of the edit, in which effects count as positive.
        kept: identities to the inversion instead of the target.
    """
    steps = _steps(edits, attribute, sign)
    effects = [0.0, *(effect(edits, attribute, step) * sign for step in steps)]
    readings = [edits.inversion, *(edits.single[attribute, step] for step in steps)]
    return effects, [reading.kept if kept else reading.identity for reading in readings]


def _steps(edits: Edits, attribute: str, sign: int) -> list[float]:
    """The signed strengths of one sense of an edit, the weakest first."""
    return sorted((s for name, s in edits.single if name == attribute and s * sign > 0), key=abs)


def still_at_reach(edits: Edits, target: Target, measure: str) -> Value:
    """A measure of `still` where the effect is -reach and reach, mean of the two: between strengths it is linear.

    Undefined where an effect is not reached: an editor that changes nothing keeps everything.
    """
    at_reach = []
    if any(measure not in reading.still for (name, _), reading in edits.single.items() if name == target.name):
        return _undefined("not measured")
    for sign in (-1, 1):
        steps = _steps(edits, target.name, sign)
        effects = np.array([effect(edits, target.name, step) * sign for step in steps])
        values = np.array([edits.single[target.name, step].still[measure] for step in steps])
        effects, values = effects[np.isfinite(effects)], values[np.isfinite(effects)]
        growing = isotonic_regression(effects).x if len(effects) else effects
        if not len(growing) or growing[-1] < target.reach:
            return _undefined(f"{target.name}: an effect of {sign * target.reach:g} is not reached")
        after = int(np.searchsorted(growing, target.reach))
        before = max(after - 1, 0)
        width = growing[after] - growing[before]
        share = (target.reach - growing[before]) / width if width else 1.0
        at_reach.append(float(values[before] + share * (values[after] - values[before])))
    return mean(at_reach), ""


def at_equal_effect(edits: Edits, target: Target, *, kept: bool = False) -> tuple[Value, Value]:
    """Mean identity over the effects from -reach to reach, and the fraction of them that was reached.

    Both are undefined where the target's attribute is, which is the same for all methods; where only that of the
    inversion is undefined, no effect is reached.

    Args:
        edits: of one image.
        target: the attribute.
        kept: identity to the inversion instead of the target.
    """
    if math.isnan(edits.target_values[target.name]):
        reason = f"{target.name} cannot be read from the target"
        return _undefined(reason), _undefined(reason)
    sides = [identity_over_effect(*path(edits, target.name, sign, kept=kept), target.reach) for sign in (-1, 1)]
    return (mean([side[0] for side in sides]), ""), (mean([side[1] for side in sides]), "")


def same_step(edits: Edits, target: Target) -> tuple[Value, Value]:
    """Effect of STEP and identity, means over both signs of the edit."""
    identity = mean([edits.single[target.name, sign * STEP].identity for sign in (-1, 1)])
    effects = [sign * effect(edits, target.name, sign * STEP) for sign in (-1, 1)]
    if math.isnan(sum(effects)):
        reason = f"{target.name} cannot be read from the inversion or from an edited image"
        return _undefined(reason), (identity, "")
    return (mean(effects), ""), (identity, "")


def in_sequence(edits: Edits, targets: Sequence[Target]) -> tuple[Value, Value]:
    """Effect as a fraction of the nominal one, mean over the attributes edited in sequence, and identity."""
    identity = mean([edits.sequence[sign * STEP].identity for sign in (-1, 1)])
    fractions = []
    for target in targets[:IN_SEQUENCE]:
        values = [edits.sequence[sign * STEP].values[target.name] for sign in (-1, 1)]
        fraction = (values[1] - values[0]) / 2 / (STEP * target.slope)
        if not math.isnan(fraction):
            fractions.append(fraction)
    if not fractions:
        return _undefined("no attribute can be read from the images edited in sequence"), (identity, "")
    return (mean(fractions), ""), (identity, "")


def entanglement(edits: Edits, targets: Sequence[Target]) -> Value:
    """Change of other attributes per change of the edited one, both in nominal effects; mean over attributes.

    For an edited attribute: mean of |change| / nominal over the others and both signs, divided by the edited one's
    effect / nominal (at least LEAST_SHARE). StyleTransformer's attribute dependency (arXiv 2203.07932) in other units.
    """
    ratios = []
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
            ratios.append(mean(readable) / max(own / (STEP * target.slope), LEAST_SHARE))
    return (mean(ratios), "") if ratios else _undefined("no attribute can be read with another one")


def change_outside(edits: Edits, targets: Sequence[Target]) -> Value:
    """Change outside the interest region per nominal effect, mean over attributes (as in `entanglement`)."""
    ratios = []
    for target in targets:
        (own, _), _ = same_step(edits, target)
        change = mean([edits.single[target.name, sign * STEP].outside for sign in (-1, 1)])
        if own is not None and not math.isnan(change):
            ratios.append(change / max(own / (STEP * target.slope), LEAST_SHARE))
    return (mean(ratios), "") if ratios else _undefined("no interest region in the target, or no attribute can be read")


def _undefined(reason: str) -> Value:
    return None, reason


def average(values: Sequence[Value]) -> Value:
    """Mean of the defined values; the first reason where there is none."""
    known = [value for value, _ in values if value is not None]
    return (mean(known), "") if known else (None, values[0][1])


def latent_distance(latents: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance of codes [N, num_ws, w_dim], flattened -> [N].

    Of w and of the code after inverting, editing, inverting again and undoing the edit, it is latent editing
    consistency (Tov et al., arXiv 2102.02766, section 5; omertov/encoder4editing, metrics/LEC.py, which trims batch
    means to the 1st to 99th percentile; nothing is trimmed here).
    """
    return (latents - others).flatten(1).norm(dim=1)


def path_length(steps: Tensor) -> Tensor:
    """Perceptual path length of interpolations -> [N]: mean LPIPS between neighbours [N, K] over the squared step 1/K.

    Karras et al., arXiv 1812.04948, section 4.1, with steps of 1/K instead of 1e-4, which 8-bit images can resolve.
    """
    return steps.mean(dim=1) * steps.shape[1] ** 2


def detour(steps: Tensor, ends: Tensor) -> Tensor:
    """Path length [N, K] over the LPIPS of the end points [N]; 1 where the image changes evenly from end to end.

    The length alone would favour inversions whose end points are alike.
    """
    return path_length(steps) / ends


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
