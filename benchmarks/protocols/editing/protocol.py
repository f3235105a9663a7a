"""The protocol editing: what edits reach and cost, interpolation, and re-inversion after an edit (LEC)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import torch
from torch import Tensor

from benchmarks.engine.plan import digest
from benchmarks.engine.store import JsonLines, JsonRow, RowFiles
from benchmarks.engine.types import Score, Status
from benchmarks.protocols.base import (
    BROKEN,
    Context,
    GeneratingProtocol,
    Item,
    Need,
    file_stamp,
    score_of,
    status_of,
    without_value,
)
from benchmarks.protocols.editing import sets
from benchmarks.protocols.editing.config import EditingConfig
from benchmarks.protocols.editing.curves import curves
from benchmarks.protocols.editing.generate import edit_images
from benchmarks.protocols.editing.store import (
    EDITS,
    INTERPOLATION,
    REINVERSION,
    EditStore,
    Part,
    Task,
    from_row,
    without,
)
from datasets.base import Manifest
from datasets.registry import names as dataset_names
from inversion_bench.registry import near_miss
from methods.editing.directions import Direction
from methods.editing.images import tiles
from methods.editing.still import still_masks
from methods.editing.weights import load_directions
from methods.registry import names as method_names
from metrics import attributes, edit_fid, edit_protocol
from metrics import registry as metrics_registry
from metrics.base import MetricInfo
from metrics.edit_fid import Toward
from metrics.editing import SHEET, STRANGERS, STRENGTHS, Target

if TYPE_CHECKING:
    from benchmarks.engine.plan import StageRun
    from benchmarks.engine.run import Run

# Goes up when the same inversions would give other readings.
VERSION = 3
REFERENCES = 120  # real images of a data set that sets of edited ones are compared with
PARTS = {edit_protocol.REINVERSION: REINVERSION, edit_protocol.INTERPOLATION: INTERPOLATION}
FRECHET = {"edit_frechet_alex": EDITS, "interpolation_frechet_alex": INTERPOLATION}

NO_IDENTITY = "no face found in the target: its identity cannot be read"


class Editing(GeneratingProtocol):
    """Edits of stored inversions.

    Attributes, once resolved: directions and targets in the order of the tables; images and reinverted, ids by data
    set; keys and reinversion_keys, the stage runs whose images are edited and inverted again; references and real, the
    images that edited ones are compared with as sets, and all of the set, by data set; towards, edits that lead to
    images with a label, by table; digest of what readings depend on.
    """

    needs: ClassVar[Need] = Need.GENERATED | Need.SETS
    Config: ClassVar[type] = EditingConfig

    def __init__(self, name: str, config: Any):
        super().__init__(name, config)
        if min(config.images, config.reinversion_images) < 0:
            raise ValueError(
                f"protocols.{name}: images is {config.images} and reinversion_images {config.reinversion_images}, "
                "expected at least 0"
            )
        self.directions: dict[str, Direction] = {}
        self.targets: tuple[Target, ...] = ()
        self.images: dict[str, tuple[str, ...]] = {}
        self.reinverted: dict[str, tuple[str, ...]] = {}
        self.keys: tuple[str, ...] = ()
        self.reinversion_keys: tuple[str, ...] = ()
        self.references: dict[str, Manifest] = {}
        self.real: dict[str, Manifest] = {}
        self.towards: dict[str, Toward] = {}
        self.digest = ""
        self._distances: dict[str, sets.Distances] = {}
        self._still: dict[str, Tensor] = {}

    def resolve(self, context: Context) -> None:
        config: EditingConfig = self.config
        if not config.images:
            return
        known = load_directions(Path(config.source) if config.source else None, context.generator)
        # `methods=[...]` may leave out what a suite edits; a typing error may not pass for that.
        for what, names, among in (
            ("directions", config.directions, list(known)),
            ("datasets", config.datasets, [*dataset_names(), *context.manifests]),
            ("methods", config.methods, method_names()),
            ("reinversion_methods", config.reinversion_methods, method_names()),
        ):
            for name in names:
                if name not in among:
                    hint = near_miss(name, among)
                    raise ValueError(f"protocols.{self.name}.{what}: no {name!r}: {hint}known: {', '.join(among)}")
        self.directions = {name: known[name] for name in config.directions or known}
        self.targets = tuple(self._target(name, direction) for name, direction in self.directions.items())
        moved = [target.name for target in self.targets]
        for name in moved:
            if moved.count(name) > 1:
                raise ValueError(f"protocols.{self.name}.directions: two directions move {name!r}; keep one of them")
        used = {name: manifest for name, manifest in context.manifests.items()
                if not config.datasets or name in config.datasets}  # fmt: skip
        taken = {place: key for place, key in context.leaf.items()
                 if place.dataset in used and (not config.methods or place.method in config.methods)}  # fmt: skip
        again = [key for place, key in taken.items()
                 if not config.reinversion_methods or place.method in config.reinversion_methods]  # fmt: skip
        for name, manifest in used.items():
            edited = manifest.subset(config.images)
            self.images[name] = tuple(edited.ids)
            count = config.reinversion_images
            self.reinverted[name] = tuple(edited.subset(count).ids) if count else ()
            self.real[name] = context.full_manifests[name]
            self.references[name] = self.real[name].subset(REFERENCES)
        self.keys, self.reinversion_keys = tuple(dict.fromkeys(taken.values())), tuple(dict.fromkeys(again))
        try:
            self.towards = sets.towards(config.fid, self.directions, self.real.values())
        except ValueError as error:
            raise ValueError(f"protocols.{self.name}.fid: {error}") from error
        self.digest = self._digest()

    def _target(self, name: str, direction: Direction) -> Target:
        if direction.attribute not in attributes.registry() or not abs(direction.slope) > 0:  # NaN, too
            raise ValueError(
                f"protocols.{self.name}.directions: {name!r} moves no attribute that a predictor reads (attribute "
                f"{direction.attribute!r}, slope {direction.slope}); known attributes: {', '.join(attributes.names())}"
            )
        info = attributes.find(direction.attribute)
        return Target(info.name, info.title, info.unit, abs(direction.slope), direction.kept)

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for (name, direction), target in zip(self.directions.items(), self.targets, strict=True):
            info = attributes.find(direction.attribute)
            text = [VERSION, edit_protocol.SEGMENTS, list(STRENGTHS), name, asdict(target), direction.slope,
                    info.version]  # fmt: skip
            digest.update(json.dumps(text, sort_keys=True).encode())
            digest.update(direction.vector.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()[:20]

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        if not self.targets:
            return {}
        return edit_protocol.infos(self.targets) | {name: [each.info()] for name, each in self.towards.items()}

    def assets(self) -> Sequence[str]:
        own = [asset for target in self.targets if (asset := attributes.find(target.name).network)]
        return ["lpips_alex", "sface", *own, *(["inception_fid"] if self.config.fid else [])]

    def missing(self) -> Mapping[str, str]:
        # Predictors say themselves what they lack.
        reason = metrics_registry.missing(edit_fid.FEATURES) if self.towards else None
        return dict.fromkeys(self.towards, reason) if reason else {}

    def _members(self, table: str, dataset: str) -> tuple[str, ...]:
        """The images that a table is about."""
        if table == edit_protocol.REINVERSION:
            return self.reinverted.get(dataset, ())
        edited = self.images.get(dataset, ())
        if table not in self.towards:
            return edited
        labels = {image: self.real[dataset].by_id[image].labels for image in edited}
        return tuple(image for image in edited if self.towards[table].leads_to(labels[image]) is False)

    def expected(self, dataset: str) -> Mapping[str, int]:
        counts = {table: len(self._members(table, dataset)) for table in self.metrics()}
        return {table: count for table, count in counts.items() if count}

    def scores(self, dataset: str, images: int) -> Mapping[str, int]:
        """Of sets only: all else is read when an image is edited."""
        return {name: len(self._members(name, dataset)) for name in (*FRECHET, *self.towards)}

    def keeps_weights(self, stage_run: StageRun, image: str) -> bool:
        return stage_run.key in self.keys and image in self.images[stage_run.dataset]

    # Making and reading edited images.

    def chosen(self, stage_run: StageRun) -> Sequence[str]:
        return self.images[stage_run.dataset] if stage_run.key in self.keys else ()

    def tasks(self, run: Run, stage_run: StageRun) -> list[Task]:
        ids = self.chosen(stage_run)
        if not ids:
            return []
        rows, store = run.rows(stage_run), run.store(stage_run)
        known = EditStore(run.out, stage_run.key).rows(self.digest)
        inverted = {image for image in ids if image in rows and rows[image].status == "ok"}
        stamps = {image: file_stamp(store.picture(image)) if image in inverted else 0 for image in ids}
        tasks = []
        for image, other in zip(ids, [*ids[1:], *ids[:1]], strict=True):
            old = known.get(image)
            task = Task(image, other, self._reinverts(stage_run, image), [stamps[image], stamps[other]],
                        old["made"] + 1 if old else 1, self.digest)  # fmt: skip
            if image in inverted and not task.done(old):
                tasks.append(task)
        return tasks

    def _reinverts(self, stage_run: StageRun, image: str) -> bool:
        return stage_run.key in self.reinversion_keys and image in self.reinverted[stage_run.dataset]

    def generate(self, run: Run, stage_run: StageRun, tasks: Sequence[Task], lines: JsonLines) -> None:
        if not self._still:
            self._still = still_masks(run.generator, self.directions)
        edit_images(run, self.directions, self._still, stage_run, tasks, lines)

    def failed_row(self, task: Task, reason: str) -> JsonRow:
        parts = dict.fromkeys((EDITS, INTERPOLATION, REINVERSION), without("failed", reason))
        return task.row() | parts | {"seconds": 0.0}

    def row_files(self, run: Run, stage_run: StageRun) -> RowFiles:
        return EditStore(run.out, stage_run.key).row_files()

    def parallel_images(self, stage_run: StageRun) -> int:
        if stage_run.key not in self.reinversion_keys:
            return 1
        return max(stage.cls.parallel_images(stage.config) for stage in stage_run.stages)

    # Distances of sets of edited images.

    def _rows(self, run: Run, stage_run: StageRun) -> dict[str, JsonRow]:
        """Readings of the images that the suite edits, in their order."""
        rows = EditStore(run.out, stage_run.key).rows(self.digest)
        return {image: rows[image] for image in self.images[stage_run.dataset] if image in rows}

    def items(self, run: Run, stage_run: StageRun) -> list[Item]:
        if stage_run.key not in self.keys:
            return []
        rows = self._rows(run, stage_run)
        dataset, made = stage_run.dataset, [[image, row["made"]] for image, row in rows.items()]
        stamp = digest([sets.VERSION, self.references[dataset].key, *made])
        stamps = {name: (stamp, part, tuple(rows)) for name, part in FRECHET.items()}
        for name, toward in self.towards.items():
            stamp = digest([sets.VERSION, self.real[dataset].key, asdict(toward), *made])
            stamps[name] = stamp, EDITS, self._members(name, dataset)
        return [
            Item(stage_run, image, {name: stamp for name, (stamp, part, members) in stamps.items()
                                    if image in members and "reason" not in row[part]})
            for image, row in rows.items()
        ]  # fmt: skip

    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        stage_run = items[0].stage_run
        dataset, store = stage_run.dataset, EditStore(run.out, stage_run.key)
        for table, infos in self.metrics().items():
            for info in infos:
                images = [item.image for item in items if info.name in item.stamps]
                if not images:
                    continue
                try:
                    if dataset not in self._distances:
                        self._distances[dataset] = sets.Distances(
                            self.directions, self.references[dataset], self.real[dataset], run.plan.scope.frame, device
                        )
                    values = self._distances[dataset].of(self.towards.get(info.name, info.name), store, images)
                except BROKEN as error:
                    yield from (without_value(table, info, image, *status_of(error)) for image in images)
                    continue
                for place, image in enumerate(images):
                    yield score_of(table, info, image, partial(values.__getitem__, place))

    # Results.

    def results(self, run: Run, stage_run: StageRun, stored: Mapping[str, Mapping[str, Score]]) -> Iterable[Score]:
        if stage_run.key not in self.keys:
            return
        rows = self._rows(run, stage_run)
        for table, infos in self.metrics().items():
            if table == edit_protocol.REINVERSION and stage_run.key not in self.reinversion_keys:
                continue
            for image in self._members(table, stage_run.dataset):
                part = rows.get(image, {}).get(PARTS.get(table, EDITS), without("missing", "not edited yet"))
                values = {} if table in self.towards else self._values(table, part)
                for info in infos:
                    if "reason" in part:
                        yield without_value(table, info, image, part["status"], part["reason"])
                    elif info.name in FRECHET or info.name in self.towards:
                        score = stored[info.name].get(image)
                        yield score or without_value(table, info, image, self.not_yet, self.unscored)
                    else:
                        value, status, reason = values[info.name]
                        yield Score(table, info.name, info.version, image, value, status, reason)

    def _values(self, table: str, part: Part) -> Mapping[str, tuple[float | None, Status, str]]:
        """Value, status and reason of each metric but the distances of sets."""
        if "reason" in part:
            return {}
        if table not in PARTS:
            found = edit_protocol.values(from_row(part), self.targets)
            return {name: (None, "undefined", reason or NO_IDENTITY) if value is None or math.isnan(value)
                    else (value, "ok", reason) for name, (value, reason) in found.items()}  # fmt: skip
        values: dict[str, tuple[float | None, Status, str]] = {
            name: (value, "ok", "") if value is not None else (None, "failed", "the measurement is not finite")
            for name, value in part.items()
        }
        reason = "the code of a tuned generator cannot be compared with codes of the shared one"
        for info in self.metrics()[table]:
            values.setdefault(info.name, (None, "skipped", reason))
        return values

    def describe(self) -> Mapping[str, Any]:
        if not self.targets:
            return {}
        return {
            "editing": {
                "attributes": [
                    {"name": t.name, "title": t.title, "unit": t.unit, "slope": t.slope, "reach": t.reach}
                    for t in self.targets
                ],
                "sheet": [[tile.attribute, tile.strength] for tile in tiles(self.directions, SHEET)],
                "unreached": STRANGERS,
                "digest": self.digest,
            }
        }

    def tables(self, run: Run) -> Mapping[str, pd.DataFrame]:
        if not self.targets:
            return {}
        edited = ((place.dataset, place.method, self._rows(run, run.plan.stage_run(key)))
                  for place, key in run.plan.leaf.items() if key in self.keys)  # fmt: skip
        return {"edits.parquet": curves(edited, self.targets)}

    def images_of(self, run: Run, stage_run: StageRun, image: str) -> Mapping[str, Path]:
        if not self.keeps_weights(stage_run, image):
            return {}
        return {"edits": EditStore(run.out, stage_run.key).sheet(image)}
