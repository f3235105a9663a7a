"""What the commands of a suite have in common."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.engine.config import SuiteConfig, load_suite

if TYPE_CHECKING:
    from benchmarks.engine.run import Run


def load(options: argparse.Namespace) -> tuple[SuiteConfig, Path]:
    """The suite with its overrides, and the folder of its results."""
    suite = load_suite(options.suite, options.overrides)
    return suite, options.out or Path("runs") / suite.name


def load_run(options: argparse.Namespace, device: str = "cpu") -> Run:
    """The run that options name. Raises ConfigError for whatever cannot be run; writes nothing."""
    suite, out = load(options)  # before torch is imported

    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.plan import expand
    from benchmarks.engine.run import Run

    chosen = pick_device(device)
    return Run(expand(suite), out, chosen)
