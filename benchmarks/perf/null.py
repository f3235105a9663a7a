"""A method that does nothing, on images of noise: what is left of a run is the harness."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.engine.config import SuiteConfig
from benchmarks.engine.machine import resident_mb
from benchmarks.engine.plan import Place, Plan, StageRun, load_protocols, stage_run_key
from benchmarks.perf.synthetic import random_generator
from datasets.base import Manifest, Record
from datasets.images import pixel_sha256
from methods.base import Inversion, Method, MethodInfo
from methods.generators.fingerprint import fingerprint
from methods.registry import STAGES, PipelineSpec, StageSpec

ONLY_MSE = {"reconstruction": {"metrics": ["mse"]}}


@dataclass(frozen=True)
class NullConfig:
    """No settings."""


class Null(Method):
    """Returns the mean code and the target; records seconds and memory by number of images."""

    info = MethodInfo("null", "Nothing", 1, "", 2026, "", "", "W+")
    Config = NullConfig
    passed: ClassVar[list[tuple[int, float, float, float]]] = []  # images, wall and processor seconds, MiB

    def invert(self, images: Tensor, ids: Sequence[str], init: Inversion | None = None) -> Inversion:
        count = (self.passed[-1][0] if self.passed else 0) + len(ids)
        self.passed.append((count, time.perf_counter(), time.process_time(), resident_mb()))
        latent = self.generator.latent_avg.expand(len(ids), self.generator.num_ws, -1)
        return Inversion(tuple(ids), latent, "W+", images, torch.zeros(len(ids), dtype=torch.long))


def simulated(folder: Path, count: int, side: int) -> Manifest:
    """A data set of coarse noise.

    Args:
        folder: of the images.
        count: number of images.
        side: in pixels.
    """
    stream, records = np.random.default_rng(0), []
    for n in range(count):
        coarse = Image.fromarray(stream.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        image = coarse.resize((side, side), Image.Resampling.BICUBIC)
        image.save(folder / f"{n:06}.png")
        records.append(Record(f"{n:06}", f"{n:06}.png", pixel_sha256(image)))
    return Manifest("simulated", "Noise", 1, "as drawn", side, "none", "out", folder, tuple(records))


def null_plan(manifest: Manifest, protocols: Mapping[str, Any] = ONLY_MSE) -> Plan:
    """One stage run of `null` on a data set, with a small generator. protocols: their settings, as a suite has them."""
    STAGES.register("null", "benchmarks.perf.null:Null")
    generator = random_generator(manifest.resolution, width=16)
    stage = StageSpec("null", NullConfig())
    suite = SuiteConfig(name="null", generator="toy", methods=["null"], protocols=dict(protocols))
    key = stage_run_key((stage,), fingerprint(generator), manifest.key, 0)
    pipeline = PipelineSpec("null", "Nothing", (stage,))
    return Plan(
        suite, generator, fingerprint(generator), (pipeline,), {manifest.name: manifest},
        (StageRun(key, (stage,), manifest.name, 0, None),), {Place("null", manifest.name, 0): key},
        load_protocols(suite), {}, generator.scope, {},
    )  # fmt: skip
