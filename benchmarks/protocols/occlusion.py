"""Occlusion: an image with something before the face is compared with the clean one that its label `clean` names.

The metrics are those of metrics/paired.py. Images that are occluded by themselves, with the label `object: natural`,
have a table of their own: no clean image agrees with them pixel by pixel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.engine.types import Score
from benchmarks.protocols.base import (
    BlockedError,
    Context,
    Item,
    Need,
    Protocol,
    file_stamp,
    score_of,
    without_value,
)
from datasets import assets
from datasets.base import Manifest, Record
from datasets.images import ImageError, pixel_sha256
from inversion_bench.pictures import open_picture
from metrics.base import MetricInfo, Undefined
from metrics.paired import PARSER, Input, PairedMetric, occlusion_metrics
from metrics.regions import load_parser

if TYPE_CHECKING:
    from benchmarks.engine.plan import StageRun
    from benchmarks.engine.run import Run

TABLE, NATURAL_TABLE = "occluded", "occluded_natural"
NATURAL = "natural"  # the label `object` of images that are occluded by themselves
NO_TWIN = "the image is occluded by itself: no clean image agrees with it pixel by pixel"


def pairs(manifest: Manifest) -> list[Record]:
    """Records that are compared with a clean one."""
    return [record for record in manifest.records if "clean" in record.labels]


def table_of(record: Record) -> str:
    """The table that a record's scores are in."""
    return NATURAL_TABLE if record.labels.get("object") == NATURAL else TABLE


def applies(metric: PairedMetric, record: Record) -> bool:
    """Whether the metric is defined for a record, whatever the method."""
    return table_of(record) == TABLE or not {"clean_reconstruction", "region"} & set(metric.inputs)


class Occlusion(Protocol):
    """Distances to the clean image and to its inversion."""

    needs: ClassVar[Need] = Need.PAIRS

    def __init__(self, name: str, config: Any):
        super().__init__(name, config)
        self.loaded = {metric.info.name: metric for metric in occlusion_metrics()}

    def resolve(self, context: Context) -> None:
        for manifest in context.manifests.values():
            for record in pairs(manifest):
                if (clean := record.labels["clean"]) not in manifest.by_id:
                    raise ValueError(
                        f"data set {manifest.name}: {record.id} is taken without {clean}, which it is compared with; "
                        "use the set's own option count instead of limit"
                    )
        self._counts = {name: Counter(map(table_of, pairs(manifest))) for name, manifest in context.manifests.items()}
        self._scores = {
            name: Counter(
                metric for record in pairs(manifest) for metric, each in self.loaded.items() if applies(each, record)
            )
            for name, manifest in context.manifests.items()
        }

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        return {TABLE: [metric.info for metric in self.loaded.values()]}

    def assets(self) -> Sequence[str]:
        return [metric.asset for metric in self.loaded.values() if metric.asset]

    def missing(self) -> Mapping[str, str]:
        return {name: why for name, each in self.loaded.items() if (why := assets.missing(each.asset, name))}

    def expected(self, dataset: str) -> Mapping[str, int]:
        return self._counts[dataset]

    def scores(self, dataset: str, images: int) -> Mapping[str, int]:
        return self._scores[dataset]

    def items(self, run: Run, stage_run: StageRun) -> list[Item]:
        rows, store, items = run.rows(stage_run), run.store(stage_run), []
        for record in pairs(run.manifest(stage_run)):
            if record.id not in rows or rows[record.id].status != "ok":
                continue
            stamps = {}
            for name, metric in self.loaded.items():
                if applies(metric, record):
                    also = [str(record.labels["clean"])] if "clean_reconstruction" in metric.inputs else []
                    stamps[name] = [file_stamp(store.picture(image)) for image in (record.id, *also)]
            items.append(Item(stage_run, record.id, stamps))
        return items

    @torch.no_grad()
    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        stage_run = items[0].stage_run
        manifest, rows = run.manifest(stage_run), run.rows(stage_run)

        @cache
        def interest(id: str) -> tuple[Tensor, str]:
            masks, reasons = load_parser(PARSER)(run.target(stage_run, id)[None])
            return masks[0], reasons[0]

        def inputs(record: Record) -> Mapping[Input, Callable[[], Tensor]]:
            clean = manifest.by_id[str(record.labels["clean"])]

            def clean_reconstruction() -> Tensor:
                row = rows.get(clean.id)
                if clean.failure or row is None or row.status != "ok":
                    reason = clean.failure or (row.reason if row else "not run yet")
                    raise BlockedError(f"the clean image's inversion failed: {reason}")
                return run.reconstruction(stage_run, clean.id)

            def region() -> Tensor:
                mask, reason = interest(clean.id)
                if reason:
                    raise Undefined(f"no interest region of the clean image: {reason}")
                left = mask * (1 - _object_mask(manifest, record))
                if not left.any():
                    raise Undefined("the object covers the interest region completely")
                return left

            return {
                "reconstruction": lambda: run.reconstruction(stage_run, record.id),
                "clean_reconstruction": clean_reconstruction,
                "clean_target": lambda: run.target(stage_run, clean.id),
                "region": region,
            }

        for item in items:
            record = manifest.by_id[item.image]
            parts = inputs(record)
            for name in item.stamps:
                metric = self.loaded[name]

                def compute(metric: PairedMetric = metric, parts: Any = parts) -> Tensor:
                    return metric(*(parts[part]().to(device)[None] for part in metric.inputs))[0]

                yield score_of(table_of(record), metric.info, item.image, compute)

    def results(self, run: Run, stage_run: StageRun, stored: Mapping[str, Mapping[str, Score]]) -> Iterable[Score]:
        for record in pairs(run.manifest(stage_run)):
            table = table_of(record)
            for name, metric in self.loaded.items():
                if not applies(metric, record):
                    yield without_value(table, metric.info, record.id, "skipped", NO_TWIN)
                else:
                    score = stored[name].get(record.id)
                    yield score or without_value(table, metric.info, record.id, self.not_yet, self.unscored)


def _object_mask(manifest: Manifest, record: Record) -> Tensor:
    """[1, H, W], 1 where the object lies."""
    path = manifest.root / record.mask
    try:
        with open_picture(path) as image:
            mask = image.convert("L")
    except OSError as error:
        raise ImageError(f"{path}: the object's mask cannot be read ({error}); build the set again") from error
    if pixel_sha256(mask) != record.mask_sha256:
        raise ImageError(f"{path}: pixels differ from the manifest's SHA-256; build the set again")
    return torch.from_numpy(np.array(mask))[None] / 255
