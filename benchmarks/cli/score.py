"""Compute the missing scores of stored inversions, and report; nothing is inverted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_device, add_json, add_replace, add_suite

if TYPE_CHECKING:
    from benchmarks.engine.progress import Progress
    from benchmarks.engine.run import Run

EXAMPLES = """  python -m benchmarks score faces64
  python -m benchmarks score faces64 'protocols.reconstruction.metrics=[mse,id_facenet]' --out runs/faces64 --replace
                                                 other metrics on old inversions"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)
    add_device(parser)
    add_replace(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli.suite import load, load_run, refuse_other_settings

    suite, out = load(options)
    refuse_other_settings(out, suite, options.replace)

    from filelock import FileLock

    from benchmarks.cli import output, report
    from benchmarks.cli.live import live
    from benchmarks.engine.progress import Progress

    stored = load_run(options, options.device)
    output.prepare(stored.out)
    # Of several commands that end in one folder, one scores and reports at a time; the next finds little to do.
    with live(options.quiet) as show, FileLock(stored.out / "run.lock"):
        progress = Progress(stored, show)
        try:
            measure(stored, progress)
            found = report.write(stored)
        finally:
            progress.close()
    return report.show(found, options)


def measure(stored: Run, progress: Progress) -> None:
    """Compute all scores of a run that are missing; the lock of its folder is held."""
    from benchmarks.engine.generate import generate
    from benchmarks.engine.measure import score

    generate(stored)  # what shards left: interpolations to images that other shards inverted later
    score(stored, tell=progress.scored)
    progress.end()
