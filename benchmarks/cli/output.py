"""The folder that a command writes its results to."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cli import logs
from benchmarks.errors import ConfigError


def prepare(folder: Path, worker: str = "") -> None:
    """Make the folder and its log file. Raises ConfigError when results cannot be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
        logs.log_into(folder, worker)
    except OSError as error:
        raise ConfigError(
            f"{folder}: results cannot be written there ({error}); choose another folder with --out"
        ) from error
