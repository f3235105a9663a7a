"""Frechet distances after editing: numbers of a whole set of edited pictures, an image's share of them by jackknife.

DIR/edits/<key>/sets.json  by metric and image, with the stamp of the pictures that they were computed from
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmarks.engine.plan import digest
from benchmarks.engine.run import Run
from benchmarks.engine.store import Row, write_atomically
from benchmarks.protocols.editing.measure import EditStore, cut
from benchmarks.protocols.editing.plan import Editing
from datasets.base import Manifest
from datasets.images import read_rgb, to_tensor
from methods.editing.pictures import tiles
from metrics.attributes import predict
from metrics.base import UNDEFINED
from metrics.distribution import AlexFeatures
from metrics.edit_protocol import SEGMENTS
from metrics.editing import STEP, mean
from metrics.set_distances import frechet_pseudo_values, moments

VERSION = 1  # goes up when the same pictures would give other numbers
BATCH = 32
LEAST_REFERENCES = 10

Numbers = dict[str, dict[str, float | str]]  # by metric and image; a text says why there is none


def path(out: Path, key: str) -> Path:
    return EditStore(out, key).folder / "sets.json"


def read(run: Run, key: str) -> Numbers:
    """Stored numbers of the stage run's present pictures; empty when they have to be computed."""
    file = path(run.out, key)
    if not file.exists():
        return {}
    stored = json.loads(file.read_bytes())
    return stored["numbers"] if stored["stamp"] == _stamp(run, key) else {}


@torch.no_grad()
def score(run: Run, progress: bool = True) -> int:
    """Compute what is missing; returns the number of stage runs."""
    editing = run.plan.editing
    if editing is None:
        return 0
    todo = [key for key in editing.keys if not read(run, key) and _rows(run, key)]
    features = cache(AlexFeatures)
    references = cache(lambda dataset: _References(editing, editing.references[dataset], features()))
    for key in tqdm(todo, desc="comparing sets", disable=not (progress and todo)):
        dataset = run.plan.stage_run(key).dataset
        numbers = {
            "edit_frechet_alex": _of_edits(run, editing, key, references(dataset)),
            "line_frechet_alex": _of_middles(run, key, references(dataset)),
        }
        text = json.dumps({"stamp": _stamp(run, key), "numbers": numbers}, indent=1, allow_nan=False)
        write_atomically(path(run.out, key), text.encode())
    return len(todo)


class _References:
    """Real images of a set: features, and the halves with most and with least of each attribute."""

    def __init__(self, editing: Editing, manifest: Manifest, network: AlexFeatures):
        self.network = network
        files = [manifest.root / manifest.by_id[image].file for image in manifest.ids]
        images = torch.stack([to_tensor(read_rgb(file)) for file in files])
        rows = self.features(images)
        self.all = moments(rows)
        names = [target.name for target in editing.targets]
        values = predict(names, images)
        self.halves: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        for name in names:
            order = values[name].argsort()[: int(values[name].isfinite().sum())]  # NaN is sorted last
            half = len(order) // 2
            if half >= LEAST_REFERENCES:
                self.halves[name, -1] = moments(rows[order[:half]])
                self.halves[name, 1] = moments(rows[order[-half:]])

    def features(self, images: Tensor) -> Tensor:
        return torch.cat([self.network(part) for part in images.split(BATCH)])


def _of_edits(run: Run, editing: Editing, key: str, real: _References) -> dict[str, float | str]:
    """Mean over attributes and senses of the pseudo-values of each image."""
    kept = EditStore(run.out, key)
    images = [image for image, row in _rows(run, key).items() if "reason" not in row["edits"]]
    places = {(tile.attribute, int(tile.strength / STEP)): place
              for place, tile in enumerate(tiles(editing.directions)) if abs(tile.strength) == STEP}  # fmt: skip
    wanted = [(half, places[half]) for half in real.halves]
    if not wanted:
        return dict.fromkeys(
            images, f"{UNDEFINED}fewer than {2 * LEAST_REFERENCES} real images of the set have the attribute"
        )
    if len(images) < 3:
        return dict.fromkeys(images, f"{UNDEFINED}a distance of sets needs three edited images, found {len(images)}")
    sheets = torch.stack([cut(kept.sheet(image))[[place for _, place in wanted]] for image in images])
    found = [frechet_pseudo_values(real.features(sheets[:, n]), *real.halves[half])
             for n, (half, _) in enumerate(wanted)]  # fmt: skip
    return {image: mean(each) for image, each in zip(images, zip(*found, strict=True), strict=True)}


def _of_middles(run: Run, key: str, real: _References) -> dict[str, float | str]:
    kept = EditStore(run.out, key)
    images = [image for image, row in _rows(run, key).items() if "reason" not in row["line"]]
    if len(images) < 3:
        return dict.fromkeys(images, f"{UNDEFINED}a distance of sets needs three lines, found {len(images)}")
    middles = torch.stack([cut(kept.line(image))[SEGMENTS // 2] for image in images])
    values = frechet_pseudo_values(real.features(middles), *real.all)
    return dict(zip(images, values, strict=True))


def _rows(run: Run, key: str) -> dict[str, Row]:
    """Readings of the images that the suite edits, in their order."""
    assert run.plan.editing is not None
    found = EditStore(run.out, key).rows(run.plan.editing.digest)
    return {image: found[image] for image in run.plan.editing.images[run.plan.stage_run(key).dataset] if image in found}


def _stamp(run: Run, key: str) -> str:
    return digest(list(_parts(run, key)))


def _parts(run: Run, key: str) -> Iterator[Any]:
    assert run.plan.editing is not None
    yield VERSION
    yield run.plan.editing.references[run.plan.stage_run(key).dataset].key
    for image, row in _rows(run, key).items():
        yield image, row["made"]
