"""Frechet distances after editing: numbers of a set of edited images, a share for each by jackknife."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from benchmarks.protocols.editing.store import EditStore, cut
from datasets.base import Manifest
from datasets.images import read_rgb, to_tensor
from methods.editing.directions import Direction
from methods.editing.images import tiles
from metrics.attributes import predict
from metrics.base import Undefined
from metrics.distribution import AlexFeatures
from metrics.edit_protocol import SEGMENTS
from metrics.editing import SHEET, STEP, mean
from metrics.set_distances import LEAST_FRECHET, frechet_pseudo_values, moments

VERSION = 2  # goes up when the same images would give other numbers
BATCH = 32
LEAST_REFERENCES = 10


class References:
    """Real images of a data set: features, and the halves with most and with least of each attribute.

    Args:
        attributes: names of the edited attributes.
        manifest: the real images.
        frame: their frame (datasets.scope).
        device: where features are computed.
    """

    def __init__(self, attributes: Sequence[str], manifest: Manifest, frame: str, device: torch.device):
        self.network, self.device = AlexFeatures().to(device), device
        images = torch.stack(
            [to_tensor(read_rgb(manifest.root / manifest.by_id[image].file)) for image in manifest.ids]
        )
        rows = self.features(images)
        self.all = moments(rows)
        values = predict(attributes, images, frame)
        self.halves: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        for name in attributes:
            order = values[name].argsort()[: int(values[name].isfinite().sum())]  # NaN is sorted last
            half = len(order) // 2
            if half >= LEAST_REFERENCES:
                self.halves[name, -1] = moments(rows[order[:half]])
                self.halves[name, 1] = moments(rows[order[-half:]])

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        return torch.cat([self.network(part.to(self.device)).cpu() for part in images.split(BATCH)])


def of_edits(
    store: EditStore, images: Sequence[str], directions: Mapping[str, Direction], real: References
) -> Sequence[float]:
    """Pseudo-values of edited images, means over attributes and senses.

    Args:
        store: the edited images of a stage run.
        images: ids of those that are edited.
        directions: the directions of the suite.
        real: the images that they are compared with.

    Raises:
        Undefined: too few images on either side.
    """
    places = {(tile.attribute, int(tile.strength / STEP)): place
              for place, tile in enumerate(tiles(directions, SHEET)) if abs(tile.strength) == STEP}  # fmt: skip
    wanted = [(half, places[half]) for half in real.halves]
    if not wanted:
        raise Undefined(f"fewer than {2 * LEAST_REFERENCES} real images of the set have the attribute")
    _check(len(images), "edited images")
    sheets = torch.stack([cut(store.sheet(image))[[place for _, place in wanted]] for image in images])
    found = [frechet_pseudo_values(real.features(sheets[:, n]), *real.halves[half])
             for n, (half, _) in enumerate(wanted)]  # fmt: skip
    return [mean(shares) for shares in zip(*found, strict=True)]


def _check(count: int, what: str) -> None:
    if count < LEAST_FRECHET:
        raise Undefined(f"a Frechet distance needs at least {LEAST_FRECHET} {what}, found {count}")


def of_middles(store: EditStore, images: Sequence[str], real: References) -> Sequence[float]:
    """Pseudo-values of the middles of interpolations; arguments and errors as `of_edits`."""
    _check(len(images), "interpolations")
    middles = torch.stack([cut(store.interpolation(image))[SEGMENTS // 2] for image in images])
    return frechet_pseudo_values(real.features(middles), *real.all)
