"""Write tables and figures from stored results; nothing is inverted or scored.

Takes a suite, or the folder of a run, whose results.parquet is then reported as it is.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_json, add_replace, add_suite, add_wandb
from benchmarks.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.engine.run import Run
    from reports.frame import Results

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks report celeba64
  python -m benchmarks report runs/celeba64                   the results of a folder, whatever suite they are of
  python -m benchmarks report celeba64 --layout pti_paper     tables as that paper arranges them
  python -m benchmarks report celeba64 --rank-by lpips_vgg    best, middle and worst images by LPIPS in the figures"""


@dataclass(frozen=True)
class Written:
    """A report on disk. files: what was written; code: the exit code."""

    results: Results
    files: Sequence[Path]
    code: int


def add_arguments(parser: Parser) -> None:
    add_suite(parser, folder=True)
    parser.add_argument(
        "--layout",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="also arrange the tables by a layout, shipped (reports/layouts) or a YAML file; may be repeated",
    )
    parser.add_argument("--images", nargs="+", default=[], metavar="ID", help="images that the figures show")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="first compare the stored rows and images with their checksums; damage is named, and nothing is written",
    )
    parser.add_argument("--rank-by", default="", metavar="METRIC", help="metric that picks the figures' images")
    add_wandb(parser)
    add_replace(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from reports import layout
    from reports.frame import ReportError

    try:
        for name in options.layout:
            layout.load(name)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    more = options.layout, options.images, options.rank_by
    if Path(options.suite).is_dir():
        if options.verify and not intact(Path(options.suite)):
            return 1
        return logged(_of_folder(Path(options.suite), options, *more), options)

    from benchmarks.cli.suite import load, load_run, refuse_other_settings

    suite, out = load(options)
    refuse_other_settings(out, suite, options.replace)
    stored = load_run(suite, out)

    from filelock import FileLock

    from benchmarks.cli import output

    output.prepare(stored.out)
    with FileLock(stored.out / "run.lock"):
        if options.verify and not intact(stored.out):
            return 1
        return logged(write(stored, *more), options)


def logged(written: Written, options: argparse.Namespace) -> int:
    """Log a finished run to Weights & Biases where that is asked for, and `show` it."""
    from reports import wandb_sink

    if options.wandb:
        wandb_sink.push(written.results.directory, options.wandb)
    return show(written, options)


def _of_folder(
    folder: Path, options: argparse.Namespace, layouts: list[str], images: list[str], rank_by: str
) -> Written:
    """Report a folder's results.parquet as it is."""
    from benchmarks.cli import output

    for name in ("overrides", "methods", "datasets", "limit", "seeds", "out"):
        if getattr(options, name):
            raise ConfigError(f"{folder} is the folder of a run, which is reported as it is; leave {name} out")
    for name in ("run.json", "results.parquet"):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} has no {name}: not a finished run; `status {folder}` says more")
    output.prepare(folder)
    return _build(folder, layouts, images, rank_by)


def intact(out: Path) -> bool:
    """Whether all that is stored in a run's folder is as it was written; says what is not."""
    from benchmarks.engine.verify import verify

    verified = verify(out)
    for problem in verified.problems:
        logger.error("%s", problem)
    if verified.unchecked:
        logger.warning("%d rows and files of an earlier version have no checksum", verified.unchecked)
    logger.info("%d rows and %d files verified, %d damaged", verified.rows, verified.files, len(verified.problems))
    if verified.problems:
        logger.error("`run --resume all` computes damaged images again, `score` changed scores")
    return not verified.problems


def write(stored: Run, layouts: list[str] | None = None, images: list[str] | None = None, rank_by: str = "") -> Written:
    """Write the report of a run.

    Args:
        stored: the run; the lock of its folder is held.
        layouts: further arrangements of the tables.
        images: ids of images that the figures show.
        rank_by: the metric that picks the figures' images, or "".

    Raises:
        ConfigError: a layout, an image or a metric does not exist.
    """
    from benchmarks.engine.export import compact

    compact(stored)
    return _build(stored.out, layouts or [], images or [], rank_by)


def _build(out: Path, layouts: list[str], images: list[str], rank_by: str) -> Written:
    from reports.build import build
    from reports.figures import Choice
    from reports.frame import ReportError, read

    try:
        files = build(out, layouts=layouts, choice=Choice(tuple(images), rank_by))
        results = read(out)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    return Written(results, files, exit_code(results.rows, out / "report" / "tables.md"))


def show(written: Written, options: argparse.Namespace) -> int:
    """Print the summary of a report and where it is, or JSON; returns the exit code."""
    from benchmarks.cli import live
    from reports.summary import as_json

    report = written.results.directory / "report"
    places = {"dashboard": report / "index.html", "tables": report / "tables.md", "LaTeX": report / "tables.tex",
              "log": written.results.directory / "log.txt"}  # fmt: skip
    if options.json:
        files = {name: str(path) for name, path in places.items() if path.exists()}
        print(json.dumps(as_json(written.results) | {"files": files}))
    elif not options.quiet:
        live.results_table(written.results)
        print("  ".join(f"{name}: {path}" for name, path in places.items()))
    for path in written.files:
        logger.debug("%s", path)
    return written.code


def exit_code(frame: pd.DataFrame, reasons: Path) -> int:
    """Note how many images have rows without a value; 1 where one of them is a failure, else 0.

    No face in an edited image is a finding, and what has not been run yet is none; an inversion that broke off, or a
    file that cannot be read, is a failure.
    """
    status = frame["status"]
    failed, missing = status.isin(["failed", "blocked"]), status == "missing"
    for what, rows, level in (
        ("failed rows", frame[failed], logging.WARNING),
        ("undefined metrics", frame[status == "undefined"], logging.INFO),
        ("rows that are not there yet: the same command as before resumes the run", frame[missing], logging.WARNING),
    ):
        if len(rows):
            count = rows[["dataset", "image"]].drop_duplicates().shape[0]
            logger.log(level, "%d images have %s; reasons are in %s", count, what, reasons)
    return 1 if failed.any() else 0
