"""From edited images to readings: identity to the input, attributes, change outside the interest region."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.editing.images import Tile
from metrics import attributes, identity, perceptual
from metrics.editing import Edits, Reading
from metrics.paired import PARSER
from metrics.region import masked_mse
from metrics.regions import load_parser


def identities(images: Tensor, targets: Tensor) -> Tensor:
    """SFace's cosine [N] of images and targets [N or 1, 3, R, R], by the recipe of id_sface."""
    return _cosines(identity.embed(images, "sface", targets), identity.embed(targets, "sface"))


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1).clamp(-1, 1)


@torch.no_grad()
def read_edits(target: Tensor, inversion: Tensor, images: Tensor, tiles: Sequence[Tile]) -> Edits:
    """What the metrics of editing take, of one image.

    Args:
        target: [1, 3, R, R].
        inversion: its reconstruction [1, 3, R, R].
        images: edited images [K, 3, R, R].
        tiles: what each edited image shows.
    """
    names = list(dict.fromkeys(tile.attribute for tile in tiles if tile.attribute))
    everything = torch.cat([target, inversion, images])
    values = attributes.predict(names, everything)
    faces = identity.embed(everything, "sface", target)
    similar, kept = _cosines(faces, faces[:1]), _cosines(faces, faces[1:2])
    masks, _ = load_parser(PARSER)(target)
    outside = masked_mse(
        everything[1:], inversion.expand_as(everything[1:]), (1 - masks).expand(len(everything) - 1, -1, -1, -1)
    ).sqrt()
    if not masks.any():
        outside = torch.full_like(outside, torch.nan)  # no region: nothing is inside or outside

    def reading(place: int) -> Reading:
        read = {name: float(values[name][place]) for name in names}
        return Reading(float(similar[place]), read, float(outside[place - 1]), float(kept[place]))

    found = [(tile, reading(place)) for place, tile in enumerate(tiles, start=2)]
    return Edits(
        target_values={name: float(values[name][0]) for name in names},
        inversion=reading(1),
        single={(tile.attribute, tile.strength): each for tile, each in found if tile.attribute},
        sequence={tile.strength: each for tile, each in found if not tile.attribute},
    )


@torch.no_grad()
def lpips(a: Tensor, b: Tensor) -> Tensor:
    """LPIPS (AlexNet) [N] of images [N, 3, R, R]."""
    return perceptual.network("alex", a.device, a.dtype)(a, b)
