"""Workers as jobs of SLURM through submitit: the first ones as one job array, replacements one by one.

Options (--executor-option KEY=VALUE): cluster (slurm; local: processes through submitit; debug), and whatever
`AutoExecutor.update_parameters` takes, e.g. slurm_partition, timeout_min, gpus_per_node, mem_gb. All nodes have to see
the output folder, the checkout and its Python under the same paths.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine.executors.base import ROOT, work
from benchmarks.errors import ConfigError


@dataclass
class SlurmJob:
    """A submitit job as a job. Times are in seconds."""

    job: Any
    every: float = 2.0
    polled: float = 0.0

    def ended(self) -> int | str | None:
        # `done` asks the queue, which schedulers do not want to be asked five times a second.
        if time.monotonic() - self.polled < self.every:
            return None
        self.polled = time.monotonic()
        if not self.job.done():
            return None
        if (error := self.job.exception()) is None:
            return int(self.job.result())
        return f"{self.job.state}: {type(error).__name__}"

    def stop(self) -> None:
        self.job.cancel()
        while not self.job.done():
            time.sleep(self.every)


class Launcher:
    """Raises ConfigError where submitit is absent or does not know an option."""

    def __init__(self, out: Path, workers: int, threads: int, options: dict[str, str]):
        try:
            import submitit
        except ImportError as error:
            raise ConfigError("--executor submitit needs submitit: pip install -e .[submitit]") from error
        typed: dict[str, Any] = {key: int(value) if value.isdigit() else value for key, value in options.items()}
        cluster = typed.pop("cluster", "slurm")
        parameters = {"name": "inversion-bench", "cpus_per_task": threads, "timeout_min": 24 * 60, **typed}
        try:
            self.executor = submitit.AutoExecutor(out / "work" / "submitit", cluster=cluster)
            self.executor.update_parameters(**parameters)
        except (NameError, ValueError, RuntimeError, TypeError) as error:
            raise ConfigError(f"--executor submitit: {error}") from error
        self.every = 2.0 if cluster == "slurm" else 0.2

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> list[SlurmJob]:
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        if len(commands) == 1:
            return [SlurmJob(self.executor.submit(work, commands[0]), self.every)]
        return [SlurmJob(job, self.every) for job in self.executor.map_array(work, commands)]

    def close(self) -> None:
        """Jobs end by themselves or are cancelled one by one."""
