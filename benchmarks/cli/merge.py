"""Merge the results of several machines into one folder; refuses results of different settings.

An image that two folders have is taken from the first that has it.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.cli.parsing import Parser, one_of

logger = logging.getLogger(__name__)

SHOWN = 10  # conflicts that are listed
EXAMPLES = """  python -m benchmarks merge runs/all out-0 out-1 out-2
  python -m benchmarks run celeba64 --out runs/all --resume none    then: scores and reports"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="merged folder; what it holds already comes first")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="--out folders of the machines")
    parser.add_argument(
        "--across",
        action="append",
        default=[],
        type=one_of("difference", ["settings"]),
        metavar="settings",
        help="merge methods of different settings",
    )


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli import output
    from benchmarks.engine.merge import merge

    output.prepare(options.out)
    done = merge(options.out, options.folders, options.across)
    counts = f"{done.images} images, {done.scores} scores and {done.made} edited images"
    print(f"{options.out}: {counts} merged, {done.stage_runs} new stage runs")
    for what, values in sorted(done.measured_with.items()):
        if len(values - {""}) > 1:
            logger.warning("the rows come from different %s: %s", what, ", ".join(sorted(values - {""})))
    if done.conflicts:
        more = len(done.conflicts) - SHOWN
        lines = [*done.conflicts[:SHOWN], *([f"... and {more} more"] if more > 0 else [])]
        logger.warning("%d images differ between the folders:\n  %s", len(done.conflicts), "\n  ".join(lines))
    logger.info("next: python -m benchmarks run SUITE --out %s --resume none (scores and reports)", options.out)
    return 0
