"""What a row says about where it was made: device, memory, and the state of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.errors import ConfigError

resource: Any
try:
    import resource
except ImportError:  # on Windows
    resource = None


def pick_device(text: str = "auto") -> torch.device:
    """The device that auto, cpu, cuda, cuda:N or mps names; auto: CUDA, else MPS, else the CPU.

    Raises:
        ConfigError: there is no such device here.
    """
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


def device_name(device: torch.device | None = None) -> str:
    """What rows call a device: the model of a GPU, or the device's type."""
    device = device or pick_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_memory_mb(device: torch.device) -> float:
    """MiB: allocated on the accelerator since the batch began, or of a CPU process at most (NaN on Windows)."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    if resource is None:
        return float("nan")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


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
