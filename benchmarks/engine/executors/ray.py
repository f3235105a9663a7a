"""Workers as tasks of a Ray cluster; one that dies with its node is started again on another.

Options (--executor-option KEY=VALUE): address (of the cluster; default: the one that is there, else a new one on this
machine), num_cpus and num_gpus of a worker, and num_cpus_total of a new cluster. All nodes have to see the output
folder, the checkout and its Python under the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine.executors.base import ROOT, work
from benchmarks.errors import ConfigError


@dataclass
class RayJob:
    """A Ray task as a job."""

    ray: Any
    task: Any

    def ended(self) -> int | str | None:
        ready, _ = self.ray.wait([self.task], timeout=0)
        if not ready:
            return None
        try:
            return int(self.ray.get(self.task))
        except self.ray.exceptions.RayError as error:
            return type(error).__name__

    def stop(self) -> None:
        self.ray.cancel(self.task, force=True)
        self.ray.wait([self.task], timeout=30)


class Launcher:
    """Raises ConfigError where Ray is absent or an option is unknown."""

    def __init__(self, out: Path, workers: int, threads: int, options: dict[str, str]):
        try:
            import ray
        except ImportError as error:
            raise ConfigError("--executor ray needs Ray: pip install -e .[ray]") from error
        unknown = set(options) - {"address", "num_cpus", "num_gpus", "num_cpus_total"}
        if unknown:
            raise ConfigError(f"--executor ray knows address, num_cpus, num_gpus, num_cpus_total; found {unknown}")
        self.ray = ray
        self.mine = not ray.is_initialized()
        if self.mine:
            total = options.get("num_cpus_total")
            ray.init(
                address=options.get("address"),
                num_cpus=int(total) if total else None,
                include_dashboard=False,
                log_to_driver=True,
            )
        gpus = float(options.get("num_gpus", 1 if torch.cuda.is_available() else 0))
        keep = ("INVERSION_BENCH_CACHE",)
        environment = {name: os.environ[name] for name in keep if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.task = ray.remote(
            max_retries=0,  # the images of a dead worker are counted, so that none kills workers without end
            max_calls=1,
            num_cpus=float(options.get("num_cpus", threads)),
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": environment},
        )(work)

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> list[RayJob]:
        return [RayJob(self.ray, self.task.remote(command)) for command in commands]

    def close(self) -> None:
        if self.mine:
            self.ray.shutdown()
