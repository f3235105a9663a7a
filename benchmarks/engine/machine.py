"""What a row says about where it was made: device, memory, and the state of the code."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch

from benchmarks.errors import ConfigError

resource: Any
try:
    import resource
except ImportError:  # on Windows
    resource = None


def pick_device(text: str = "auto") -> torch.device:
    """The device that auto, cpu, cuda, cuda:N or mps names; auto: CUDA, else MPS, else the CPU.

    From then on float32 is float32 on a GPU, too; what wants TF32 allows it afterwards.

    Raises:
        ConfigError: there is no such device here.
    """
    allow_tf32(False)
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if text == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    match = re.fullmatch(r"cpu|mps|cuda(?::(\d+))?", text)
    if not match:
        raise ConfigError(f"unknown device {text!r}; expected auto, cpu, cuda, cuda:N or mps")
    if int(match[1] or 0) >= present[text.partition(":")[0]]:
        here = ", ".join(f"{count} x {name}" for name, count in present.items() if count)
        raise ConfigError(f"no device {text!r} on this machine; here: {here}")
    return torch.device(text)


def allow_tf32(allowed: bool) -> None:
    """Whether a GPU may compute float32 products and convolutions on its TF32 units, which keep 10 bits of 23.

    PyTorch allows it to convolutions by default.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def device_name(device: torch.device | None = None) -> str:
    """What rows call a device: the model of a GPU, or the device's type."""
    device = device or pick_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@cache
def machine_name(threads: int) -> str:
    """What the last digits of a result depend on beside the code: processor, its instructions, BLAS and threads."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    model = match[1].strip() if match else platform.processor() or platform.machine()
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    name = blas[1] if blas else "unknown"
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}, BLAS {name}, {threads} threads"


@dataclass(frozen=True)
class Usage:
    """What a batch used.

    Attributes:
        memory: MiB at most: allocated on a CUDA device, else resident of the process; NaN where it cannot be read.
        cpu_seconds: processor seconds of the process.
        load: load average of the last minute over the number of processors; NaN where there is none.
    """

    memory: float = float("nan")
    cpu_seconds: float = float("nan")
    load: float = float("nan")


BUSY = 1.2  # load average for each processor from which on times are not those of an idle machine


class Meter:
    """Measures what happens between `with Meter(device) as meter:` and the end of the block, then meter.usage.

    Resident memory is sampled by a thread: the kernel's own maximum is that of the process's whole life, and so the
    same for every method that runs after the largest one.
    """

    SECONDS = 0.02  # between samples

    def __init__(self, device: torch.device):
        self.device, self.usage, self._over = device, Usage(), threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._peak = float("nan")

    def __enter__(self) -> Self:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._peak = resident_mb()
            self._thread.start()
        self._start = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.process_time() - self._start
        if self.device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self.device) / 2**20
        else:
            self._over.set()
            self._thread.join()
        load = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else float("nan")
        self.usage = Usage(self._peak, seconds, load)

    def _sample(self) -> None:
        while not self._over.wait(self.SECONDS):
            self._peak = max(self._peak, resident_mb())


def resident_mb() -> float:
    """Resident memory of this process now, in MiB; its maximum so far where there is no /proc, NaN on Windows."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        if resource is None:
            return float("nan")
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (2**20 if sys.platform == "darwin" else 2**10)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@cache
def commit() -> str:
    """The checkout's commit, with + when files differ from it; "" outside a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # an installed package may lie in a checkout of something else
        return ""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
