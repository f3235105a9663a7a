"""From edited pictures to readings: identity to the input, attributes, change outside the interest region."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.editing.pictures import Tile
from metrics import attributes, identity, perceptual
from metrics.editing import Edits, Reading
from metrics.paired import PARSER
from metrics.region import masked_mse
from metrics.regions import load_parser


def identities(pictures: Tensor, targets: Tensor) -> Tensor:
    """SFace's cosine [N] of pictures and targets [N or 1, 3, R, R], by the recipe of id_sface."""
    return _cosines(identity.embed(pictures, "sface"), identity.embed(targets, "sface"))


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1).clamp(-1, 1)


@torch.no_grad()
def read_edits(target: Tensor, inversion: Tensor, pictures: Tensor, tiles: Sequence[Tile]) -> Edits:
    """All that the metrics take, of one image: input and inversion [1, 3, R, R], edited pictures [K, 3, R, R]."""
    names = list(dict.fromkeys(tile.attribute for tile in tiles if tile.attribute))
    shown = torch.cat([target, inversion, pictures])
    values = attributes.predict(names, shown)
    faces = identity.embed(shown, "sface")
    similar, kept = _cosines(faces, faces[:1]), _cosines(faces, faces[1:2])
    masks, _ = load_parser(PARSER)(target)
    outside = masked_mse(
        shown[1:], inversion.expand_as(shown[1:]), (1 - masks).expand(len(shown) - 1, -1, -1, -1)
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
    """LPIPS (AlexNet) [N] of pictures [N, 3, R, R]."""
    return perceptual.network("alex", a.device, a.dtype)(a, b)
