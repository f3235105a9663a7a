"""The words of the engine as types: keys, statuses, scores, rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "failed", "undefined", "skipped", "blocked"]
"""ok: there is a value. failed: an error, or a value that is not finite. undefined: the metric is not defined for this
image, and nothing went wrong. skipped: it does not apply here, or what it needs is absent. blocked: an earlier result
that it builds on is absent."""

Resume = Literal["missing", "failed", "all", "none"]


@dataclass(frozen=True, order=True)
class ImageKey:
    """An image of a data set. Its text, "dataset/image", is also what methods seed their random streams by."""

    dataset: str
    image: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.image}"

    @classmethod
    def parse(cls, text: str) -> ImageKey:
        dataset, separator, image = text.partition("/")
        if not separator:
            raise ValueError(f"{text!r} is no image key; expected dataset/image")
        return cls(dataset, image)


@dataclass(frozen=True)
class Score:
    """One value of one metric for one image. value: None unless the status is ok."""

    protocol: str
    metric: str
    version: int
    image: str
    value: float | None
    status: Status = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.status == "ok"):
            raise ValueError(f"{self.metric} of {self.image}: value {self.value} with status {self.status!r}")


@dataclass(frozen=True)
class Provenance:
    """Where an inversion was computed."""

    device: str
    precision: str
    batch_size: int
    threads: int
    torch: str
    commit: str


@dataclass(frozen=True)
class Shard:
    """Every `of`-th group of images from `index` on (0 <= index < of)."""

    index: int = 0
    of: int = 1

    def take(self, groups: Sequence[list[str]]) -> list[str]:
        return [image for group in groups[self.index :: self.of] for image in group]


@dataclass(frozen=True)
class WorkerOptions:
    """How a process takes part in a run.

    Args:
        name: the worker's name, given by its supervisor; "" for a process of its own.
        workers: how many there are.
        timeout: seconds for an image before the process ends itself; 0 for no limit.
        planned: file with the attempts that a run set out from, for workers that begin later; "" to look now.
        debug: raise the first exception instead of recording it.
    """

    name: str = ""
    workers: int = 1
    timeout: float = 0.0
    planned: str = ""
    debug: bool = False
