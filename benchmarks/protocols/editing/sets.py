"""Frechet distances after editing: numbers of a set of edited images, a share for each by jackknife."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.protocols.editing.store import EditStore, cut
from datasets.base import Manifest
from datasets.images import read_rgb, to_tensor
from methods.editing.directions import Direction
from methods.editing.images import tiles
from metrics import registry
from metrics.attributes import predict
from metrics.base import SetMetric, Undefined
from metrics.distribution import AlexFeatures
from metrics.edit_fid import FEATURES, Toward, parse
from metrics.edit_protocol import SEGMENTS
from metrics.editing import SHEET, STEP, mean
from metrics.set_distances import LEAST_FRECHET, frechet_pseudo_values, frechet_to, moments

VERSION = 2  # goes up when the same images would give other numbers
BATCH, LARGE_BATCH = 32, 8
LEAST_REFERENCES = 10


def towards(
    texts: Sequence[str], directions: Mapping[str, Direction], manifests: Iterable[Manifest]
) -> dict[str, Toward]:
    """The edits to images with a label, by name, as `metrics.edit_fid.parse` reads them.

    Raises ValueError for a text of another form, or a label that no image has.
    """
    found = {}
    labels = {label for manifest in manifests for record in manifest.records for label in record.labels}
    for text in texts:
        toward = parse(text, {name: direction.attribute for name, direction in directions.items()})
        if toward.label not in labels:
            raise ValueError(
                f"{text!r}: no image has a label {toward.label!r}; known: {', '.join(sorted(labels)) or 'none'}; "
                f"celeba_hq has CelebA's with options.attributes=[{toward.label}]"
            )
        found[toward.name] = toward
    return found


class Distances:
    """All distances of one data set's edited images; real images are read when they are first needed.

    Args:
        directions: the directions of the suite.
        references: the real images of distances on AlexNet's features.
        real: all real images of the set, for those on Inception's.
        frame: their frame (datasets.scope).
        device: where features are computed.
    """

    def __init__(
        self,
        directions: Mapping[str, Direction],
        references: Manifest,
        real: Manifest,
        frame: str,
        device: torch.device,
    ):
        self.directions, self.frame, self.device = directions, frame, device
        self._references, self._real = references, real

    @cached_property
    def references(self) -> References:
        names = [each.attribute for each in self.directions.values()]
        return References(names, self._references, self.frame, self.device)

    @cached_property
    def labelled(self) -> Labelled:
        return Labelled(self._real, self.device)

    def of(self, metric: str | Toward, store: EditStore, images: Sequence[str]) -> Sequence[float]:
        """Values of edited images of a stage run, by the name of the metric or an edit toward a label."""
        if isinstance(metric, Toward):
            return of_labels(store, images, metric, self.directions, self.labelled)
        if metric == "edit_frechet_alex":
            return of_edits(store, images, self.directions, self.references)
        return of_middles(store, images, self.references)


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


class Labelled:
    """Features of Inception, and those of real images by their labels.

    Args:
        manifest: the real images.
        device: where features are computed.
    """

    def __init__(self, manifest: Manifest, device: torch.device):
        metric = registry.find(FEATURES)
        assert isinstance(metric, SetMetric)
        self.manifest, self.device, self.network = manifest, device, metric.features()
        self._known: dict[tuple[str, bool], Tensor] = {}

    @torch.no_grad()
    def features(self, files: Sequence[Path], place: int = 0) -> Tensor:
        """Features [n, D] of images, or of one of the images in each row of squares."""
        parts = (files[k : k + LARGE_BATCH] for k in range(0, len(files), LARGE_BATCH))
        batches = (torch.stack([cut(file)[place] for file in part]) for part in parts)
        return torch.cat([self.network(batch.to(self.device)).cpu() for batch in batches])

    def real(self, toward: Toward) -> Tensor:
        """Features [m, D] of the real images that an edit leads to. Raises Undefined where they are too few."""
        key = toward.label, toward.present
        if key not in self._known:
            files = [self.manifest.root / record.file for record in self.manifest.records
                     if toward.leads_to(record.labels)]  # fmt: skip
            _check(len(files), "real images with the label")
            self._known[key] = self.features(files)
        return self._known[key]


def of_labels(
    store: EditStore, images: Sequence[str], toward: Toward, directions: Mapping[str, Direction], labelled: Labelled
) -> Sequence[float]:
    """The FID after an edit of images that do not have its label yet, plus the influence of each.

    Args:
        store: the edited images of a stage run.
        images: their ids.
        toward: the edit.
        directions: the directions of the suite.
        labelled: the real images.

    Raises:
        Undefined: too few images on either side, or of another resolution than the network's recipe.
    """
    _check(len(images), "edited images")
    wanted = toward.attribute, toward.sign * STEP
    place = [(tile.attribute, tile.strength) for tile in tiles(directions, SHEET)].index(wanted)
    ours = labelled.features([store.sheet(image) for image in images], place)
    return [float(value) for value in frechet_to(ours, labelled.real(toward))]


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
