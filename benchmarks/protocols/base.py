"""What an evaluation protocol is: what it measures of a run's images, and what it needs for that.

The engine knows no protocol by name. It builds those that a suite lists, measures what has no fresh score, and writes
every score to the tables. One of your own is a subclass of `Protocol`, which a suite names as `package.module:Name`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import torch
from safetensors import SafetensorError
from torch import Tensor

from benchmarks.engine.types import Score, Status
from datasets import assets
from datasets.alignment import NoFaceError
from datasets.base import Manifest
from datasets.images import ImageError
from methods.base import Inversion
from methods.generators import Generator
from metrics.base import MetricInfo, Undefined

if TYPE_CHECKING:
    from benchmarks.engine.config import SuiteConfig
    from benchmarks.engine.plan import Place, StageRun
    from benchmarks.engine.run import Run
    from benchmarks.engine.store import JsonLines, RowFiles

BROKEN = (RuntimeError, OSError, SafetensorError, ImageError, KeyError, ValueError)


class BlockedError(ValueError):
    """An earlier result that a score builds on is absent; the message says which."""


class SkippedError(ValueError):
    """A metric does not apply to an image; the message says why."""


class Need(Flag):
    """What a protocol measures.

    INLINE: the inversion with its tuned generator, while it is in memory. STORED: stored images, one by one. PAIRS: a
    stored image and another one of its data set. SETS: all images of a stage run together, again when any changes.
    GENERATED: images that the protocol makes itself, in a phase of its own after all inverting.
    """

    INLINE = auto()
    STORED = auto()
    PAIRS = auto()
    SETS = auto()
    GENERATED = auto()


@dataclass(frozen=True)
class NoSettings:
    """A protocol without settings."""


@dataclass(frozen=True)
class Context:
    """What a suite amounts to, for protocols that have to choose images or methods.

    Args:
        suite: the suite.
        generator: the generator that methods invert into.
        manifests: the images that are run, by data set.
        full_manifests: the data sets without the suite's limits.
        leaf: the key of the last stage run of each pipeline on each data set under each seed.
    """

    suite: SuiteConfig
    generator: Generator
    manifests: Mapping[str, Manifest]
    full_manifests: Mapping[str, Manifest]
    leaf: Mapping[Place, str]


@dataclass(frozen=True)
class Item:
    """An image of a stage run that is to be measured.

    Args:
        stage_run: the stage run.
        image: the image's id in its data set.
        stamps: by metric, what changes when the measured files do; a score with another stamp is computed again.
        inversion: of length 1, for inline protocols only.
    """

    stage_run: StageRun
    image: str
    stamps: Mapping[str, Any]
    inversion: Inversion | None = None


class Protocol(ABC):
    """An evaluation protocol under the settings of one suite.

    Subclasses set `needs` and, where they have settings, `Config`, a frozen dataclass; they implement `metrics` and
    `measure`. The other methods have defaults for protocols that measure every inverted image by itself.
    """

    needs: ClassVar[Need] = Need.STORED
    unscored: ClassVar[str] = "not scored yet"  # the reason of a score that is not stored
    not_yet: ClassVar[Status] = "missing"  # its status
    Config: ClassVar[type] = NoSettings

    def __init__(self, name: str, config: Any):
        """Raises ValueError or KeyError for settings that do not fit.

        Args:
            name: the key of the protocol in the suite.
            config: an instance of Config.
        """
        self.name, self.config = name, config

    def resolve(self, context: Context) -> None:  # noqa: B027
        """Choose images and methods, before the first second of work. Raises ValueError for what does not fit."""

    @abstractmethod
    def metrics(self) -> Mapping[str, Sequence[MetricInfo]]:
        """The metrics of each of the protocol's tables; tables and columns are in this order."""

    def infos(self) -> list[MetricInfo]:
        """The metrics of all tables."""
        return [info for infos in self.metrics().values() for info in infos]

    def assets(self) -> Sequence[str]:
        """Names of the assets that are needed, as datasets/manifests/assets.yaml has them; without the suite's own."""
        return ()

    def missing(self) -> Mapping[str, str]:
        """Why metrics cannot be computed here, by metric; the default is that each needs every asset."""
        reasons = [reason for asset in self.assets() if (reason := assets.missing(asset, self.name))]
        return {info.name: reasons[0] for info in self.infos()} if reasons else {}

    def expected(self, dataset: str) -> Mapping[str, int]:
        """Images of a data set that each table is about; a table that is left out is about all of them."""
        return {}

    def scores(self, dataset: str, images: int) -> Mapping[str, int]:
        """Scores that `measure` computes of so many images of a data set, at most, by metric."""
        return {info.name: images for info in self.infos()}

    def keeps_weights(self, stage_run: StageRun, image: str) -> bool:
        """Whether the tuned weights of an image have to be stored for the protocol."""
        return False

    def items(self, run: Run, stage_run: StageRun) -> list[Item]:
        """The images that the protocol measures, with the stamps of all metrics that apply to each."""
        names = [info.name for info in self.infos()]
        store, known = run.store(stage_run), run.manifest(stage_run).by_id
        return [
            Item(stage_run, image, dict.fromkeys(names, file_stamp(store.picture(image))))
            for image, row in sorted(store.rows().items())
            if row.status == "ok" and image in known
        ]

    @abstractmethod
    def measure(self, run: Run, items: Sequence[Item], device: torch.device) -> Iterable[Score]:
        """Measure images of one stage run.

        Args:
            run: the run, for targets, stored images and inversions.
            items: what to measure; of each the metrics that `stamps` names. With Need.SETS all items are given.
            device: where to compute.

        Returns:
            The scores, in any order. An exception counts as the failure of every item that has no score yet; use
            `score_of` to keep the failure of one image from the others.
        """

    def results(self, run: Run, stage_run: StageRun, stored: Mapping[str, Mapping[str, Score]]) -> Iterable[Score]:
        """A score of every metric for every image that the protocol is about, measured or not.

        Args:
            run: the run.
            stage_run: a pipeline's last stage run.
            stored: the stored scores by metric and image.
        """
        for table, infos in self.metrics().items():
            for info in infos:
                for record in run.manifest(stage_run).records:
                    score = stored[info.name].get(record.id)
                    yield score or without_value(table, info, record.id, self.not_yet, self.unscored)

    def describe(self) -> Mapping[str, Any]:
        """Entries of run.json that figures of this protocol read."""
        return {}

    def tables(self, run: Run) -> Mapping[str, pd.DataFrame]:
        """Further tables of the run, by the name of their file."""
        return {}

    def images_of(self, run: Run, stage_run: StageRun, image: str) -> Mapping[str, Path]:
        """Further images of an inverted image, by the word that is added to the method's name."""
        return {}


class GeneratingProtocol(Protocol):
    """A protocol that makes images of its own from stored inversions (Need.GENERATED).

    The engine hands out the images of `tasks` to all workers of a run once everything is inverted.
    """

    @abstractmethod
    def tasks(self, run: Run, stage_run: StageRun) -> Sequence[Any]:
        """What is to be made of a stage run and is not made yet; each has its `image`, and `done(row)`."""

    @abstractmethod
    def chosen(self, stage_run: StageRun) -> Sequence[str]:
        """The images of a stage run that the protocol is about, made or not; shards are parts of them."""

    @abstractmethod
    def generate(self, run: Run, stage_run: StageRun, tasks: Sequence[Any], lines: JsonLines) -> None:
        """Make the images of tasks; the row of each is appended to `lines` as soon as it is known."""

    @abstractmethod
    def failed_row(self, task: Any, reason: str) -> dict[str, Any]:
        """The row of a task at which workers died again and again."""

    @abstractmethod
    def row_files(self, run: Run, stage_run: StageRun) -> RowFiles:
        """The files of the rows."""

    def parallel_images(self, stage_run: StageRun) -> int:
        """Images that cost as much together as one."""
        return 1


def status_of(error: Exception) -> tuple[Status, str]:
    """The status that an exception stands for, and the reason."""
    if isinstance(error, Undefined | NoFaceError):
        return "undefined", str(error)
    if isinstance(error, BlockedError):
        return "blocked", str(error)
    if isinstance(error, SkippedError | assets.AssetMissingError):
        return "skipped", str(error)
    return "failed", str(error) if isinstance(error, ImageError) else f"{type(error).__name__}: {error}"


def score_of(table: str, info: MetricInfo, image: str, compute: Callable[[], float | Tensor]) -> Score:
    """The score of one image, with the status of whatever goes wrong.

    Args:
        table: the protocol's table that the score is for.
        info: the metric.
        image: the image's id.
        compute: gives the value. It raises Undefined, BlockedError or SkippedError for what is not a failure.
    """
    try:
        value = float(compute())
    except BROKEN as error:
        return without_value(table, info, image, *status_of(error))
    if math.isfinite(value):
        return Score(table, info.name, info.version, image, value)
    return without_value(table, info, image, "failed", f"the metric is {value}")


def without_value(table: str, info: MetricInfo, image: str, status: Status, reason: str) -> Score:
    """The score of an image that has no value."""
    return Score(table, info.name, info.version, image, None, status, reason)


def file_stamp(path: Path) -> int:
    """When a file was written, in nanoseconds; 0 for one that does not exist."""
    return path.stat().st_mtime_ns if path.exists() else 0
