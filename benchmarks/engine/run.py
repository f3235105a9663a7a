"""A run: a plan, the folder of its results and the device that it computes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.engine.machine import allow_tf32
from benchmarks.engine.plan import Plan, StageRun
from benchmarks.engine.store import InversionStore, check_version
from benchmarks.engine.types import ImageKey, Row
from datasets.base import Manifest
from datasets.images import ImageError, read_rgb, to_tensor
from methods.base import Inversion, Method
from methods.editing.images import faithful
from methods.generators import Generator
from methods.registry import StageSpec

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Run:
    """What every phase of the engine and every protocol works with. The plan's generator is moved to the device.

    The suite's choice of TF32 holds for the process from then on.

    pads: whether stages fill short batches, so that an image's result does not depend on the others (`Method.pads`).

    Raises:
        ConfigError: the folder holds results of another version of the suite.
    """

    plan: Plan
    out: Path
    device: torch.device = CPU
    pads: bool = True

    def __post_init__(self) -> None:
        check_version(self.out)
        allow_tf32(self.plan.suite.tf32)
        self.plan.generator.to(self.device)

    @property
    def generator(self) -> Generator:
        return self.plan.generator

    def method(self, stage: StageSpec, seed: int) -> Method:
        """A stage of a pipeline, on the run's device."""
        method = stage.build(self.generator, seed).to(self.device).eval()
        method.pads = self.pads
        return method

    def store(self, stage_run: StageRun | str) -> InversionStore:
        """The stored inversions of a stage run, which may be given by its key."""
        return InversionStore(self.out, stage_run if isinstance(stage_run, str) else stage_run.key)

    def rows(self, stage_run: StageRun | str) -> dict[str, Row]:
        """The row that counts of every image of a stage run, read from disk."""
        return self.store(stage_run).rows()

    def manifest(self, stage_run: StageRun | str) -> Manifest:
        """The data set of a stage run."""
        if isinstance(stage_run, str):
            stage_run = self.plan.stage_run(stage_run)
        return self.plan.manifests[stage_run.dataset]

    def target(self, stage_run: StageRun | str, image: str) -> Tensor:
        """The image that was inverted, [3, R, R] in [-1, 1] on the CPU. Raises ImageError."""
        manifest = self.manifest(stage_run)
        return to_tensor(read_rgb(manifest.root / manifest.by_id[image].file))

    def reconstruction(self, stage_run: StageRun | str, image: str) -> Tensor:
        """The stored image of an inversion, [3, R, R] in [-1, 1] on the CPU. Raises ImageError."""
        return to_tensor(read_rgb(self.store(stage_run).picture(image)))

    def inversion(self, stage_run: StageRun, image: str) -> Inversion:
        """A stored inversion, of length 1, on the run's device.

        Raises:
            ImageError: its tuned weights were not stored, so it no longer gives its image.
        """
        found = self.store(stage_run).load(image, str(ImageKey(stage_run.dataset, image))).to(self.device)
        if not faithful(self.generator, found):
            raise ImageError("the tuned weights were not kept when the image was inverted; run with --resume all")
        return found
