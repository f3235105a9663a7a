"""The words of the engine as types: keys, statuses, scores, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from inversion_bench.names import is_safe

STORE_VERSION = 3  # of the files below DIR; goes up when stored results cannot be read any more

Status = Literal["ok", "failed", "undefined", "skipped", "blocked", "missing"]
"""ok: there is a value. failed: an error, or a value that is not finite. undefined: the metric is not defined for this
image, and nothing went wrong. skipped: it does not apply here, or what it needs is absent. blocked: an earlier result
that it builds on has failed. missing: it has not been computed yet."""

Resume = Literal["missing", "failed", "all", "none"]


@dataclass(frozen=True, order=True)
class ImageKey:
    """An image of a data set. Its text, "dataset/image", is what methods know it by."""

    dataset: str
    image: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.image}"

    @classmethod
    def parse(cls, text: str) -> ImageKey:
        dataset, separator, image = text.partition("/")
        if not separator:
            raise ValueError(f"{text!r} is not an image key; expected dataset/image")
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

    device: str = ""
    precision: str = ""
    batch_size: int = 0
    threads: int = 0
    torch: str = ""
    commit: str = ""
    machine: str = ""


@dataclass(frozen=True)
class Row:
    """What came of one attempt at inverting an image.

    Args:
        image: its id in its data set.
        status: ok, failed or blocked.
        attempt: which attempt at the image this is, from 1 on.
        reason: why there is no inversion; "" when there is one.
        seconds: wall time of the stage.
        peak_memory_mb: MiB while its batch was computed.
        cpu_seconds: processor time of the stage, its part of the batch.
        load: load average over the number of processors, at the end of the batch.
        batch_images: images that were computed at once with it, itself included.
        steps: optimization steps of the stage.
        provenance: where it was computed.
        files: bytes of the latent's file and of the image's; None when there is no inversion.
        weights_kept: False when the image has weights or feature maps of its own and they were not stored.
        scores: of protocols that measure while the inversion is in memory.
        sha256: of the latent's file and of the image's.
    """

    image: str
    status: Status
    attempt: int
    reason: str = ""
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    cpu_seconds: float | None = None
    load: float | None = None
    batch_images: int = 0
    steps: int = 0
    provenance: Provenance = Provenance()  # frozen
    files: tuple[int, int] | None = None
    weights_kept: bool = True
    scores: tuple[Score, ...] = ()
    sha256: tuple[str, str] | None = None

    @property
    def rank(self) -> tuple[bool, int]:
        """Of an image's attempts the one of highest rank counts: the last ok one if there is any, else the last."""
        return self.status == "ok", self.attempt

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"provenance": vars(self.provenance), "scores": [vars(score) for score in self.scores]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        typed: dict[str, Any] = {
            "provenance": Provenance(**data.get("provenance", {})),
            "files": tuple(data["files"]) if data.get("files") else None,
            "sha256": tuple(data["sha256"]) if data.get("sha256") else None,
            "scores": tuple(Score(**score) for score in data.get("scores", ())),
        }
        row = cls(**{**data, **typed})
        if not is_safe(row.image) or not isinstance(row.attempt, int) or row.status not in get_args(Status):
            raise ValueError(f"image {row.image!r}, attempt {row.attempt!r}, status {row.status!r} are no row's")
        return row


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
