"""Write tables and figures from stored results; nothing is inverted or scored."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_suite, add_wandb
from benchmarks.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.engine.run import Run

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks report faces64
  python -m benchmarks report faces64 --layout pti_paper     tables as that paper arranges them
  python -m benchmarks report faces64 --rank-by lpips_vgg    best, middle and worst images by LPIPS in the figures"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)
    parser.add_argument(
        "--layout",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="also arrange the tables by a layout, shipped (reports/layouts) or a YAML file; may be repeated",
    )
    parser.add_argument("--images", nargs="+", default=[], metavar="ID", help="images that the figures show")
    parser.add_argument("--rank-by", default="", metavar="METRIC", help="metric that picks the figures' images")
    add_wandb(parser)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli.suite import load_run

    stored = load_run(options)

    from filelock import FileLock

    from benchmarks.cli import output
    from reports import layout
    from reports.frame import ReportError

    try:
        for name in options.layout:
            layout.load(name)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    output.prepare(stored.out)
    with FileLock(stored.out / "run.lock"):
        return write(stored, options.layout, options.images, options.rank_by, options.wandb)


def write(
    stored: Run, layouts: list[str] | None = None, images: list[str] | None = None, rank_by: str = "", wandb: str = ""
) -> int:
    """Write the report of a run and print its files; returns the exit code.

    Args:
        stored: the run; the lock of its folder is held.
        layouts: further arrangements of the tables.
        images: ids of images that the figures show.
        rank_by: the metric that picks the figures' images, or "".
        wandb: offline, online or "" for no logging to Weights & Biases.

    Raises:
        ConfigError: a layout, an image or a metric does not exist.
    """
    from benchmarks.engine.export import compact
    from reports import wandb_sink
    from reports.build import build
    from reports.figures import Choice
    from reports.frame import ReportError

    frame, suite = compact(stored), stored.plan.suite
    reference = suite.reference_method if suite.reference_method in suite.methods else ""
    try:
        for path in build(stored.out, reference, layouts or (), Choice(tuple(images or ()), rank_by)):
            print(path)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    if wandb:
        wandb_sink.push(stored.out, wandb)
    return exit_code(frame, stored.out / "report" / "tables.md")


def exit_code(frame: pd.DataFrame, reasons: Path) -> int:
    """Note how many images have rows without a value; 1 where one of them is a failure, else 0.

    No face in an edited image is a finding; an inversion that broke off, or a file that cannot be read, is a failure.
    """
    failed, undefined = frame["status"].isin(["failed", "blocked"]), frame["status"] == "undefined"
    for what, rows in (("failed rows", frame[failed]), ("undefined metrics", frame[undefined])):
        if len(rows):
            logger.warning(
                "%d images have %s; reasons are in %s",
                rows[["dataset", "image"]].drop_duplicates().shape[0],
                what,
                reasons,
            )
    return 1 if failed.any() else 0
