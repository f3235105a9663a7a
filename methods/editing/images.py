"""Images of an inversion whose latent moves: edits, edits undone after re-inversion, interpolations, style mixing.

They are made by the image's own generator where it was tuned, and rounded to 8 bits, as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from methods import feature_maps
from methods.base import Inversion, render, synthesise_at
from methods.editing.directions import Direction, apply
from methods.generators.stylegan2 import Generator
from methods.synthesis import Weights
from metrics.editing import IN_SEQUENCE, STEP, STRENGTHS

BATCH = 24  # edited images that are made at once
Strengths = Mapping[str, float]  # by the name of a direction


@dataclass(frozen=True)
class Tile:
    """One edited image. attribute: the one that is edited, "" for the sequence; strength: its signed size."""

    attribute: str
    strength: float
    edits: Strengths


def tiles(directions: Mapping[str, Direction], strengths: Sequence[float] = STRENGTHS) -> list[Tile]:
    """The images of a sweep: each direction at every strength from low to high, then the sequence to both sides.

    A positive strength always means more of the attribute, whichever way the direction points.

    Args:
        directions: the directions by name.
        strengths: positive; STRENGTHS are read, those of SHEET are stored.
    """
    sweep = sorted(sign * strength for sign in (-1, 1) for strength in strengths)
    signs = {name: 1.0 if direction.slope >= 0 else -1.0 for name, direction in directions.items()}
    singles = [Tile(directions[name].attribute, s, {name: sign * s}) for name, sign in signs.items() for s in sweep]
    first = list(signs.items())[:IN_SEQUENCE]
    return singles + [Tile("", s, {name: sign * s for name, sign in first}) for s in (-STEP, STEP)]


def eight_bit(images: Tensor) -> Tensor:
    """Images [N, 3, R, R] clamped to [-1, 1] and rounded as a PNG rounds them."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


@torch.no_grad()
def edited(
    generator: Generator, inversion: Inversion, edits: Sequence[Strengths], directions: Mapping[str, Direction]
) -> Tensor:
    """Edited images [K, 3, R, R] of an Inversion of length 1, one for each of `edits`."""
    codes = torch.cat([apply(inversion.latent, strengths, directions) for strengths in edits])
    parts = [synthesise_at(generator, inversion, 0, part) for part in codes.split(BATCH)]
    return eight_bit(torch.cat(parts))


def faithful(generator: Generator, inversion: Inversion) -> bool:
    """Whether an Inversion still gives its image; it does not where tuned weights were not stored."""
    return bool((render(generator, inversion) - inversion.image).abs().mean() < 0.005)


@torch.no_grad()
def undone(
    invert: Callable[[Tensor, Sequence[str]], Inversion],
    generator: Generator,
    inversion: Inversion,
    edits: Strengths,
    directions: Mapping[str, Direction],
) -> Inversion:
    """Edit N inversions, invert the edited images again, and undo the edit.

    Args:
        invert: inverts images [N, 3, R, R] of these ids; it may leave some out.
        generator: the shared generator.
        inversion: N inversions.
        edits: the strength of each direction.
        directions: the directions by name.

    Returns:
        The second inversions after the edit is undone, with the images of these codes.

    Latent editing consistency compares its latent with the first one, and image-space consistency its image.
    """
    images = torch.cat([edited(generator, inversion[n : n + 1], [edits], directions) for n in range(len(inversion))])
    second = invert(images, inversion.ids)
    back = {name: -strength for name, strength in edits.items()}
    draft = replace(second, latent=apply(second.latent, back, directions))
    return replace(draft, image=eight_bit(render(generator, draft)))


def between(generator: Generator, a: Inversion, b: Inversion, fraction: float) -> Inversion:
    """The Inversion of length 1 at `fraction` of the way from a (0) to b (1): code, tuned weights, noise and
    feature maps together.

    Two tuned generators have no common one, so their weights are interpolated, too.
    """
    return replace(
        a,
        latent=a.latent.lerp(b.latent, fraction),
        weights=(_between_weights(generator, a.weights[0], b.weights[0], fraction),),
        noise=(_between_noise(generator, a.noise[0], b.noise[0], fraction),),
        features=(feature_maps.between(a.features[0], b.features[0], fraction),),
    )


@torch.no_grad()
def interpolate(generator: Generator, a: Inversion, b: Inversion, segments: int) -> Tensor:
    """Images [segments + 1, 3, R, R] from a to b in equal steps."""
    stops = [between(generator, a, b, place / segments) for place in range(segments + 1)]
    return eight_bit(torch.cat([render(generator, stop) for stop in stops]))


@torch.no_grad()
def mixed(generator: Generator, a: Inversion, b: Inversion) -> Tensor:
    """Style mixing [1, 3, R, R]: the first half of the layers of a, the rest of b, everything else halfway."""
    half = a.latent.shape[1] // 2
    middle = between(generator, a, b, 0.5)
    layers = torch.cat([a.latent[:, :half], b.latent[:, half:]], dim=1)
    return eight_bit(render(generator, replace(middle, latent=layers)))


def _between_weights(generator: Generator, a: Weights | None, b: Weights | None, fraction: float) -> Weights | None:
    if a is None and b is None:
        return None
    shared = dict(generator.named_parameters())
    names = {**(a or {}), **(b or {})}
    return {name: (a or shared).get(name, shared[name]).lerp((b or shared).get(name, shared[name]), fraction)
            for name in names}  # fmt: skip


def _between_noise(
    generator: Generator, a: list[Tensor] | None, b: list[Tensor] | None, fraction: float
) -> list[Tensor] | None:
    if a is None and b is None:
        return None
    shared = generator.noise_buffers()
    return [left.lerp(right, fraction) for left, right in zip(a or shared, b or shared, strict=True)]
