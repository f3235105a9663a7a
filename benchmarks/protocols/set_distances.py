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
from benchmarks.protocols.base import BROKEN, Item, Need, score_of, status_of, without_value
from benchmarks.protocols.reconstruction import TABLE, RegisteredMetrics
from metrics import registry as metrics_registry
from metrics.base import Features, SetMetric
from metrics.set_distances import of_halves

if TYPE_CHECKING:
    from benchmarks.engine.plan import StageRun
    from benchmarks.engine.run import Run

BATCH = 8
REAL = "_real"  # ends the name of the distance of two halves of the targets


@dataclass(frozen=True)
class SetDistancesConfig:
    """metrics: names of metrics of sets, in the order of the tables."""

    metrics: list[str] = field(default_factory=lambda: ["fid_inception_torchfidelity_256"])


class SetDistances(RegisteredMetrics):
    """FID, KID and the like."""

    needs: ClassVar[Need] = Need.SETS
    Config: ClassVar[type] = SetDistancesConfig
    kind = "set_distances"

    def __init__(self, name: str, config: Any):
        super().__init__(name, config)
        for metric in list(self.loaded.values()):
            if metric.real:
                self.loaded[metric.info.name + REAL] = _of_real(metric)
        self._networks: dict[str, Features] = {}
        # The targets' features by network, data set and image; all methods share them.
        self._targets: dict[tuple[str, str, str], Tensor | Exception] = {}

    def missing(self) -> Mapping[str, str]:
        return {name: reason for name in self.loaded if (reason := metrics_registry.missing(name.removesuffix(REAL)))}

    def items(self, run: Run, stage_run: StageRun) -> list[Item]:
        items = super().items(run, stage_run) if self.loaded else []
        stamp = digest([[item.image, next(iter(item.stamps.values()))] for item in items])
        return [replace(item, stamps=dict.fromkeys(item.stamps, stamp)) for item in items]

    @torch.no_grad()
    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        stage_run, images = items[0].stage_run, [item.image for item in items]
        metrics = sorted((self.loaded[name] for name in items[0].stamps), key=lambda metric: metric.network)
        for network, group in groupby(metrics, lambda metric: metric.network):
            members: list[SetMetric] = list(group)
            try:
                if network not in self._networks:
                    self._networks[network] = members[0].features()
                features = partial(_features, self._networks[network], device)
                keys = [(network, stage_run.dataset, image) for image in images]
                absent = [image for image, key in zip(images, keys, strict=True) if key not in self._targets]
                for image, vector in features(absent, partial(run.target, stage_run)).items():
                    self._targets[network, stage_run.dataset, image] = vector
                ours = features(images, partial(run.reconstruction, stage_run))
            except (*BROKEN, ModuleNotFoundError) as error:
                yield from (without_value(TABLE, metric.info, image, *status_of(error))
                            for metric in members for image in images)  # fmt: skip
                continue
            pairs = {image: (ours[image], self._targets[key]) for image, key in zip(images, keys, strict=True)}
            for metric in members:
                yield from _influences(metric, pairs)


def _of_real(metric: SetMetric) -> SetMetric:
    """The same metric of real images: of two halves of the targets."""
    info = replace(
        metric.info,
        name=metric.info.name + REAL,
        title=f"{metric.info.title}, real",
        recipe=f"{metric.info.name} of two halves of the targets, every other image: what real images of the set score "
        "against real images, at half as many; nothing of the method enters",
    )
    return replace(metric, info=info, influences=lambda _, targets: of_halves(metric.influences, targets),
                   least=max(metric.least, 4))  # fmt: skip


def _features(
    network: Features, device: torch.device, images: Sequence[str], load: Callable[[str], Tensor]
) -> dict[str, Tensor | Exception]:
    """Features [D] by image, or the error of an image that cannot be read."""
    vectors: dict[str, Tensor | Exception] = {}
    for start in range(0, len(images), BATCH):
        batch: dict[str, Tensor] = {}
        for image in images[start : start + BATCH]:
            try:
                batch[image] = load(image)
            except BROKEN as error:
                vectors[image] = error
        if batch:
            vectors |= dict(zip(batch, network(torch.stack(list(batch.values())).to(device)), strict=True))
    return vectors


def _influences(
    metric: SetMetric, pairs: Mapping[str, tuple[Tensor | Exception, Tensor | Exception]]
) -> Iterator[Score]:
    """The share of each image, given its features and those of its target."""
    good: dict[str, tuple[Tensor, Tensor]] = {}
    for image, (ours, target) in pairs.items():
        if isinstance(ours, Tensor) and isinstance(target, Tensor):
            good[image] = ours, target
        else:
            error = ours if isinstance(ours, Exception) else target
            assert isinstance(error, Exception)
            yield without_value(TABLE, metric.info, image, *status_of(error))
    if len(good) < metric.least:
        reason = f"a distance of sets needs at least {metric.least} images, found {len(good)}"
        yield from (without_value(TABLE, metric.info, image, "undefined", reason) for image in good)
        return
    sides = (torch.stack(side) for side in zip(*good.values(), strict=True))
    for image, value in zip(good, metric.influences(*sides).tolist(), strict=True):
        yield score_of(TABLE, metric.info, image, partial(float, value))
