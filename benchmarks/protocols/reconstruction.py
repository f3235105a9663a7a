"""Reconstruction: per-image metrics of stored images against their targets, of the image or of its interest region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from benchmarks.engine.ahead import ahead, attempted, threads_beside
from benchmarks.engine.plan import load_protocols
from benchmarks.engine.types import Score
from benchmarks.protocols.base import BROKEN, Item, Protocol, score_of, status_of, without_value
from benchmarks.protocols.registry import protocol_of
from metrics import registry as metrics_registry
from metrics.base import MetricInfo, Prepared, SampleMetric, Undefined

if TYPE_CHECKING:
    from benchmarks.engine.config import SuiteConfig
    from benchmarks.engine.run import Run

TABLE = "reconstruction"


@dataclass(frozen=True)
class ReconstructionConfig:
    """metrics: names of per-image metrics of the image, in the order of the tables."""

    metrics: list[str] = field(default_factory=lambda: ["mse", "psnr", "lpips_alex"])


@dataclass(frozen=True)
class InterestRegionConfig:
    """metrics: names of per-image metrics of a region, in the order of the tables."""

    metrics: list[str] = field(default_factory=lambda: ["mse_interest", "lpips_alex_interest", "mse_outside"])


class RegisteredMetrics(Protocol):
    """A protocol whose metrics a suite names; they share the table of reconstruction."""

    kind: ClassVar[str]  # the protocol's name in the registry

    def __init__(self, name: str, config: Any):
        super().__init__(name, config)
        short = {name: metrics_registry.declare(name) for name in config.metrics}
        for metric, count in Counter(short.values()).items():
            if count > 1:
                raise ValueError(f"two different metrics are called {metric!r}; results are identified by the name")
        self.loaded: dict[str, Any] = {metric: metrics_registry.find(metric) for metric in short.values()}
        for metric in self.loaded:
            if (kind := protocol_of(metric)) != self.kind:
                raise ValueError(f"protocols.{name}: {metric} is a metric of the protocol {kind}")

    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        return {TABLE: [metric.info for metric in self.loaded.values()]}

    def assets(self) -> Sequence[str]:
        return [metric.asset for metric in self.loaded.values() if metric.asset]

    def missing(self) -> Mapping[str, str]:
        return {name: reason for name in self.loaded if (reason := metrics_registry.missing(name))}


class Reconstruction(RegisteredMetrics):
    """Per-image metrics of the stored image and the target."""

    Config: ClassVar[type] = ReconstructionConfig
    kind = "reconstruction"

    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        found = ahead(items, partial(attempted, self._read, run), threads_beside(device))
        for item, read in zip(items, found, strict=True):
            metrics = [self.loaded[name] for name in item.stamps]
            try:
                pair, prepared = read()
            except BROKEN as error:
                yield from (without_value(TABLE, m.info, item.image, *status_of(error)) for m in metrics)
                continue
            image, target = (each.to(device) for each in pair)
            yield from (measure(m, item.image, image, target, prepared.get(m.info.name)) for m in metrics)

    def _read(self, run: Run, item: Item) -> tuple[tuple[Tensor, Tensor], dict[str, Prepared]]:
        """An item's stored image and target, and what metrics make of them on the CPU, by metric."""
        pair = run.reconstruction(item.stage_run, item.image), run.target(item.stage_run, item.image)
        makers = {name: self.loaded[name].prepare for name in item.stamps}
        batches = [image[None] for image in pair]
        return pair, {name: attempted(make, *batches) for name, make in makers.items() if make}


class InterestRegion(Reconstruction):
    """Per-image metrics of the target's interest region, or of what lies outside it."""

    Config: ClassVar[type] = InterestRegionConfig
    kind = "interest_region"


@torch.no_grad()
def measure(
    metric: SampleMetric, image: str, reconstruction: Tensor, target: Tensor, prepared: Prepared | None = None
) -> Score:
    """Score of one image.

    Images are measured one by one: the last digits of a network depend on the size of its batch, and a score must not
    depend on what else is measured. On a CPU that costs nothing (five metrics of 16 images: 1.78 s, in a batch 1.73 s).

    Args:
        metric: the metric.
        image: the image's id.
        reconstruction: [3, H, W] in [-1, 1].
        target: [3, H, W] in [-1, 1].
        prepared: gives what the metric's own `prepare` made of the two, where it was called already.
    """

    def compute() -> Tensor:
        value = metric(reconstruction[None], target[None], prepared)[0]
        if metric.undefined and not value.isfinite() and (reason := metric.undefined(target[None])[0]):
            raise Undefined(reason)
        return value

    return score_of(TABLE, metric.info, image, compute)


def sample_metrics(suite: SuiteConfig) -> list[SampleMetric]:
    """The suite's per-image metrics that can be computed here. Raises ConfigError."""
    protocols = [protocol for protocol in load_protocols(suite) if isinstance(protocol, Reconstruction)]
    return [metric for protocol in protocols for name, metric in protocol.loaded.items()
            if name not in protocol.missing()]  # fmt: skip
