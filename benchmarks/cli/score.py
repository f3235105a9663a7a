"""Compute the missing scores of stored inversions, and report; nothing is inverted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_device, add_suite

if TYPE_CHECKING:
    from benchmarks.engine.run import Run

EXAMPLES = """  python -m benchmarks score faces64 'metrics=[mse,lpips_vgg]'    another metric on old inversions
  python -m benchmarks score faces64 --device cpu"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    from filelock import FileLock

    from benchmarks.cli import output, report
    from benchmarks.cli.suite import load_run

    stored = load_run(options, options.device)
    output.prepare(stored.out)
    # Of several commands that end in one folder, one scores and reports at a time; the next finds little to do.
    with FileLock(stored.out / "run.lock"):
        measure(stored)
        return report.write(stored)


def measure(stored: Run) -> None:
    """Compute all scores of a run that are missing; the lock of its folder is held."""
    from benchmarks.engine.generate import generate
    from benchmarks.engine.measure import score

    generate(stored)  # what shards left: interpolations to images that other shards inverted later
    score(stored)
