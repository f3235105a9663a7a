"""What a suite edits: directions, images and methods, resolved before the first second of work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.engine.config import EditingEntry
from datasets.base import Manifest
from datasets.registry import names as dataset_names
from inversion_bench.registry import near_miss
from methods.editing.directions import Direction
from methods.editing.weights import load_directions
from methods.generators import Generator
from methods.registry import names as method_names
from metrics import attributes
from metrics.edit_protocol import AGAIN, ATTRIBUTES, EDITING, LINES, SEGMENTS
from metrics.editing import STRENGTHS, Target

# Goes up when the same inversions would give other readings.
VERSION = 1
REFERENCES = 120  # real images of a set that sets of edited ones are compared with


@dataclass(frozen=True)
class Editing:
    """EditingEntry, resolved. images, again: ids by data set; keys: stage runs whose images are edited.

    references: the real images that edited ones are compared with as sets, by data set. digest: of what readings
    depend on.
    """

    directions: Mapping[str, Direction]
    targets: tuple[Target, ...]
    images: Mapping[str, tuple[str, ...]]
    again: Mapping[str, tuple[str, ...]]
    keys: tuple[str, ...]
    again_keys: tuple[str, ...]
    references: Mapping[str, Manifest]
    digest: str

    def counts(self, dataset: str) -> dict[str, int]:
        """Images of a data set that each protocol is about."""
        edited, again = len(self.images.get(dataset, ())), len(self.again.get(dataset, ()))
        return {name: n for name, n in ((EDITING, edited), (ATTRIBUTES, edited), (AGAIN, again), (LINES, edited)) if n}

    def takes(self, key: str, dataset: str, image: str) -> bool:
        """Whether the image of a stage run is edited: then its tuned weights are kept."""
        return key in self.keys and image in self.images.get(dataset, ())


def prepare(
    entry: EditingEntry,
    generator: Generator,
    manifests: Mapping[str, Manifest],
    whole: Mapping[str, Manifest],
    leaf: Mapping[tuple[str, str], str],
) -> Editing | None:
    """The suite's editing, or None where it has none. Raises ValueError for names that do not fit."""
    if not entry.images:
        return None
    known = load_directions(Path(entry.source) if entry.source else None, generator)
    directions = {}
    for name in entry.directions or known:
        if name not in known:
            hint = near_miss(name, known)
            raise ValueError(f"editing.directions: no direction {name!r}: {hint}known: {', '.join(known)}")
        directions[name] = known[name]
    targets = tuple(_target(name, direction) for name, direction in directions.items())
    twice = [target.name for n, target in enumerate(targets) if target.name in [t.name for t in targets[:n]]]
    if twice:
        raise ValueError(f"editing.directions: two directions move {twice[0]!r}; keep one of them")
    # `methods=[...]` may leave out what a suite edits; a typing error may not pass for that.
    for what, names, among in (
        ("datasets", entry.datasets, dataset_names()),
        ("methods", entry.methods, method_names()),
        ("again_methods", entry.again_methods, method_names()),
    ):
        for name in names:
            if name not in among:
                raise ValueError(f"editing.{what}: no {name!r}: {near_miss(name, among)}known: {', '.join(among)}")
    used = {name: manifest for name, manifest in manifests.items() if not entry.datasets or name in entry.datasets}
    taken = {
        (method, dataset): key
        for (method, dataset), key in leaf.items()
        if dataset in used and (not entry.methods or method in entry.methods)
    }
    return Editing(
        directions=directions,
        targets=targets,
        images={name: tuple(manifest.subset(entry.images).ids) for name, manifest in used.items()},
        again={name: tuple(manifest.subset(entry.images).subset(entry.again).ids) if entry.again else ()
               for name, manifest in used.items()},
        keys=tuple(dict.fromkeys(taken.values())),
        again_keys=tuple(dict.fromkeys(
            key for (method, _), key in taken.items() if not entry.again_methods or method in entry.again_methods)),
        references={name: whole[name].subset(REFERENCES) for name in used},
        digest=_digest(directions, targets),
    )  # fmt: skip


def _target(name: str, direction: Direction) -> Target:
    if direction.attribute not in attributes.registry() or not abs(direction.slope) > 0:  # NaN, too
        raise ValueError(
            f"editing.directions: {name!r} moves no attribute that a predictor reads (attribute "
            f"{direction.attribute!r}, slope {direction.slope}); known attributes: {', '.join(attributes.names())}"
        )
    info = attributes.find(direction.attribute)
    return Target(info.name, info.title, info.unit, abs(direction.slope))


def _digest(directions: Mapping[str, Direction], targets: tuple[Target, ...]) -> str:
    found = hashlib.sha256()
    for (name, direction), target in zip(directions.items(), targets, strict=True):
        info = attributes.find(direction.attribute)
        text = [VERSION, SEGMENTS, list(STRENGTHS), name, asdict(target), direction.slope, info.version]
        found.update(json.dumps(text, sort_keys=True).encode())
        found.update(direction.vector.detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()[:20]
