"""Workers as processes on this machine, each on a device or on its share of the cores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.errors import ConfigError

GRACE = 30.0  # seconds to end by itself


@dataclass
class Process:
    """A process as a job."""

    process: subprocess.Popen[bytes]

    def ended(self) -> int | None:
        return self.process.poll()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Launcher:
    """Takes no options."""

    def __init__(self, out: Path, workers: int, threads: int, options: dict[str, str]):
        if options:
            raise ConfigError(f"--executor local takes no options, found {', '.join(options)}")
        self.threads = threads

    def start(self, slots: Sequence[int], commands: Sequence[list[str]]) -> list[Process]:
        return [self._one(slot, command) for slot, command in zip(slots, commands, strict=True)]

    def _one(self, slot: int, command: list[str]) -> Process:
        environment = dict(os.environ, OMP_NUM_THREADS=str(self.threads), MKL_NUM_THREADS=str(self.threads))
        if "cuda" in command and torch.cuda.is_available():  # cuda:1 is where the user wants all of them
            shown = os.environ.get("CUDA_VISIBLE_DEVICES")
            devices = shown.split(",") if shown else [str(n) for n in range(torch.cuda.device_count())]
            environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
        return Process(subprocess.Popen([sys.executable, "-m", "inversion_bench", *command], env=environment))

    def close(self) -> None:
        """Nothing is left open."""
