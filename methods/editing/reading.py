"""From edited images to readings: identity to the input, attributes, change outside the interest region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from methods.base import Inversion
from methods.editing.directions import Direction
from methods.editing.images import Tile, edited, eight_bit, tiles
from methods.editing.still import kept_still
from methods.generators.stylegan2 import Generator
from metrics import attributes, identity, perceptual
from metrics.editing import Edits, Reading, Target, at_equal_effect, mean
from metrics.paired import PARSER
from metrics.region import masked_mse
from metrics.regions import load_parser


def identities(images: Tensor, targets: Tensor) -> Tensor:
    """SFace's cosine [N] of images and targets [N or 1, 3, R, R], by the recipe of id_sface."""
    return _cosines(identity.embed(images, "sface", targets), identity.embed(targets, "sface"))


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1).clamp(-1, 1)


@torch.no_grad()
def read_edits(
    target: Tensor,
    inversion: Tensor,
    images: Tensor,
    tiles: Sequence[Tile],
    frame: str,
    still: Mapping[str, Tensor] | None = None,
) -> Edits:
    """What the metrics of editing take, of one image.

    Args:
        target: [1, 3, R, R].
        inversion: its reconstruction [1, 3, R, R].
        images: edited images [K, 3, R, R].
        tiles: what each edited image shows.
        frame: of all these images (datasets.scope).
        still: by attribute, where an edit should change nothing (`still_masks`); None leaves that out.
    """
    names = list(dict.fromkeys(tile.attribute for tile in tiles if tile.attribute))
    everything = torch.cat([target, inversion, images])
    values = attributes.predict(names, everything, frame)
    faces = identity.embed(everything, "sface", target)
    similar, kept = _cosines(faces, faces[:1]), _cosines(faces, faces[1:2])
    masks, _ = load_parser(PARSER)(target)
    outside = masked_mse(
        everything[1:], inversion.expand_as(everything[1:]), (1 - masks).expand(len(everything) - 1, -1, -1, -1)
    ).sqrt()
    if not masks.any():
        outside = torch.full_like(outside, torch.nan)  # no region: nothing is inside or outside

    unchanged: list[dict[str, float]] = [{} for _ in everything]
    if still:
        singles = [place for place, tile in enumerate(tiles) if tile.attribute]
        masks = torch.cat([still[tiles[place].attribute] for place in singles])
        measured = kept_still(images[singles], target.expand(len(singles), -1, -1, -1), masks)
        for row, place in enumerate(singles):
            unchanged[place + 2] = {name: float(found[row]) for name, found in measured.items()}

    def reading(place: int) -> Reading:
        read = {name: float(values[name][place]) for name in names}
        outer = float(outside[place - 1])
        return Reading(float(similar[place]), read, outer, float(kept[place]), unchanged[place])

    found = [(tile, reading(place)) for place, tile in enumerate(tiles, start=2)]
    return Edits(
        target_values={name: float(values[name][0]) for name in names},
        inversion=reading(1),
        single={(tile.attribute, tile.strength): each for tile, each in found if tile.attribute},
        sequence={tile.strength: each for tile, each in found if not tile.attribute},
    )


@torch.no_grad()
def kept_by_samples(generator: Generator, directions: Mapping[str, Direction], w: Tensor) -> dict[str, float]:
    """Identity that edits keep at equal effect on the generator's own samples, by direction: the null of an inversion.

    Args:
        generator: the generator.
        directions: with slopes, by name.
        w: codes [N, w_dim].

    Returns:
        Means over the samples whose attribute can be read; NaN where there is none.
    """
    sweep, sweeps = tiles(directions), []
    codes = w[:, None].expand(-1, generator.num_ws, -1).to(generator.w_mean)
    for code in codes.split(1):
        image = eight_bit(generator.synthesis(code))
        one = Inversion(("",), code, "W", image, torch.zeros(1), (None,), (None,))
        images = edited(generator, one, [tile.edits for tile in sweep], directions)
        sweeps.append(read_edits(image, image, images, sweep, generator.scope.frame))
    return {name: _kept(sweeps, direction) for name, direction in directions.items()}


def _kept(sweeps: Sequence[Edits], direction: Direction) -> float:
    target = Target(direction.attribute, "", direction.unit, abs(direction.slope))
    values = [at_equal_effect(edits, target, kept=True)[0][0] for edits in sweeps]
    known = [value for value in values if value is not None and not math.isnan(value)]
    return mean(known) if known else math.nan


@torch.no_grad()
def lpips(a: Tensor, b: Tensor) -> Tensor:
    """LPIPS (AlexNet) [N] of images [N, 3, R, R]."""
    return perceptual.network("alex", a.device, a.dtype)(a, b)
