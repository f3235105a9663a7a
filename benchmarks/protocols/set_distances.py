"""Distances between the stored images of a stage run and their targets as sets: each image's share of the distance.

The stamp of a share is of all images together, so every share is computed again when any of them changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from benchmarks.engine.plan import digest
from benchmarks.engine.types import Score
from benchmarks.protocols.base import BROKEN, Item, Need, Protocol, score_of, status_of, without_value
from benchmarks.protocols.reconstruction import TABLE, declared
from metrics import registry as metrics_registry
from metrics.base import Features, MetricInfo, SetMetric, Undefined

if TYPE_CHECKING:
    from benchmarks.engine.plan import StageRun
    from benchmarks.engine.run import Run

BATCH = 8
LEAST = 2  # images; smaller sets have no distance


@dataclass(frozen=True)
class SetDistancesConfig:
    """metrics: names of metrics of sets, in the order of the tables."""

    metrics: list[str] = field(default_factory=lambda: ["fid_inception_torchfidelity_256"])


class SetDistances(Protocol):
    """FID, KID and the like. Keeps the networks, and the targets' features, which all methods share."""

    needs: ClassVar[Need] = Need.SETS
    Config: ClassVar[type] = SetDistancesConfig

    def __init__(self, name: str, config: Any):
        super().__init__(name, config)
        self.loaded: dict[str, SetMetric] = {}
        for metric in map(metrics_registry.find, declared(config.metrics)):
            if not isinstance(metric, SetMetric):
                raise ValueError(f"protocols.{name}: {metric.info.name} is a metric of single images")
            self.loaded[metric.info.name] = metric
        self._networks: dict[str, Features] = {}
        self._targets: dict[tuple[str, str, str], Tensor | Exception] = {}

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        return {TABLE: [metric.info for metric in self.loaded.values()]}

    def assets(self) -> Sequence[str]:
        return [metric.asset for metric in self.loaded.values() if metric.asset]

    def missing(self) -> Mapping[str, str]:
        return {name: reason for name in self.loaded if (reason := metrics_registry.missing(name))}

    def items(self, run: Run, stage_run: StageRun) -> list[Item]:
        items = super().items(run, stage_run)
        stamp = digest([[item.image, next(iter(item.stamps.values()))] for item in items])
        return [replace(item, stamps=dict.fromkeys(item.stamps, stamp)) for item in items]

    @torch.no_grad()
    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        metrics = sorted((self.loaded[name] for name in items[0].stamps), key=lambda metric: metric.network)
        for network, group in groupby(metrics, lambda metric: metric.network):
            members = list(group)
            try:
                if network not in self._networks:
                    self._networks[network] = members[0].features()
                pairs = self._pairs(run, items, network, device)
            except (*BROKEN, ModuleNotFoundError) as error:
                yield from (without_value(TABLE, metric.info, item.image, *status_of(error))
                            for metric in members for item in items)  # fmt: skip
                continue
            for metric in members:
                yield from _influences(metric, pairs)

    def _pairs(
        self, run: Run, items: Sequence[Item], network: str, device: torch.device
    ) -> dict[str, tuple[Tensor, Tensor] | Exception]:
        """Features of reconstruction and target by image, or why an image has none."""
        stage_run, features = items[0].stage_run, self._networks[network]
        images = [item.image for item in items]
        keys = {image: (network, stage_run.dataset, image) for image in images}
        absent = [image for image in images if keys[image] not in self._targets]
        for image, found in _features(features, absent, lambda image: run.target(stage_run, image), device).items():
            self._targets[keys[image]] = found
        pairs: dict[str, tuple[Tensor, Tensor] | Exception] = {}
        ours = _features(features, images, lambda image: run.reconstruction(stage_run, image), device)
        for image in images:
            one, other = ours[image], self._targets[keys[image]]
            if isinstance(one, Exception):
                pairs[image] = one
            else:
                pairs[image] = other if isinstance(other, Exception) else (one, other)
        return pairs


def _features(
    network: Features, images: Sequence[str], load: Callable[[str], Tensor], device: torch.device
) -> dict[str, Tensor | Exception]:
    """Features [D] by image, or the error of an image that cannot be read."""
    found: dict[str, Tensor | Exception] = {}
    for start in range(0, len(images), BATCH):
        batch: dict[str, Tensor] = {}
        for image in images[start : start + BATCH]:
            try:
                batch[image] = load(image)
            except BROKEN as error:
                found[image] = error
        if batch:
            found |= dict(zip(batch, network(torch.stack(list(batch.values())).to(device)), strict=True))
    return found


def _influences(metric: SetMetric, pairs: Mapping[str, tuple[Tensor, Tensor] | Exception]) -> Iterator[Score]:
    """The share of each image, given its features and those of its target."""
    good = {image: pair for image, pair in pairs.items() if not isinstance(pair, Exception)}
    values: Sequence[float] = [0.0] * len(good)
    error: Exception | None = None
    if len(good) < LEAST:
        error = Undefined(f"a distance of sets needs at least {LEAST} images, found {len(good)}")
    else:
        ours, targets = (torch.stack(side) for side in zip(*good.values(), strict=True))
        values = metric.influences(ours, targets).tolist()
    known = dict(zip(good, values, strict=True))
    for image, pair in pairs.items():
        why = pair if isinstance(pair, Exception) else error
        if why:
            yield without_value(TABLE, metric.info, image, *status_of(why))
        else:
            yield score_of(TABLE, metric.info, image, partial(known.__getitem__, image))
