"""Compute the missing scores of stored inversions, and report; nothing is inverted.

`score IMAGES TARGETS` rates two folders of any program's images, paired by name, with the metrics of a suite (celeba64;
metrics=[...] chooses others); with --out DIR it also writes scores.csv and tables.md.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_device, add_json, add_replace, add_suite, one_of
from benchmarks.errors import ConfigError
from datasets.scope import FRAMES

if TYPE_CHECKING:
    from benchmarks.engine.progress import Progress
    from benchmarks.engine.run import Run

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks score celeba64
  python -m benchmarks score celeba64 'protocols.reconstruction.metrics=[mse,id_facenet]' --out runs/celeba64 --replace
                                                 other metrics on old inversions
  python -m benchmarks score results/ targets/ 'metrics=[mse,lpips_vgg,id_sface]' --out runs/theirs"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser, folder=True)
    parser.add_argument(
        "--align", type=one_of("frame", list(FRAMES)), metavar="ffhq|tight|none", help="frame of two folders"
    )
    parser.add_argument("--domain", default="", help="what the images of two folders show, as faces or cats")
    add_device(parser)
    add_replace(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    if Path(options.suite).is_dir():
        second = next(iter(options.overrides), "")
        if not (second and Path(second).is_dir()):
            why = f"; {second} is none" if second else ""
            raise ConfigError(
                f"{options.suite} is a folder: `score IMAGES TARGETS` takes two{why}, `score SUITE` a suite"
            )
        return _rate_folders(options)

    from benchmarks.cli.suite import load, load_run, refuse_other_settings

    suite, out = load(options)
    refuse_other_settings(out, suite, options.replace)

    from filelock import FileLock

    from benchmarks.cli import output, report
    from benchmarks.cli.live import live
    from benchmarks.engine.progress import Progress

    stored = load_run(suite, out, options.device)
    output.prepare(stored.out)
    # Of several commands that end in one folder, one scores and reports at a time; the next finds little to do.
    with live(options.quiet) as show, FileLock(stored.out / "run.lock"):
        progress = Progress(stored, show)
        try:
            measure(stored, progress)
            written = report.write(stored)
        finally:
            progress.close()
    return report.show(written, options)


def _rate_folders(options: argparse.Namespace) -> int:
    """Rate a folder of images against one of targets; 1 where a pair has failed."""
    from benchmarks.engine.config import load_suite

    targets, *settings = options.overrides
    suite = load_suite("celeba64", settings)

    from tqdm.auto import tqdm

    from benchmarks.cli import output
    from benchmarks.engine import folders
    from benchmarks.engine.machine import pick_device
    from datasets.scope import Scope
    from inversion_bench.files import write_text

    device = pick_device(options.device)
    pairs = folders.paired(Path(options.suite), Path(targets))
    for path in pairs.unpaired:
        logger.warning("%s: no image of that name in the other folder; left out", path)
    with tqdm(total=len(pairs.found), desc="scoring", unit="pair", disable=options.quiet or None) as bar:
        scores = folders.rated(pairs, suite, Scope(options.align or "", options.domain), device, bar.update)
    for (status, reason), rows in scores[scores["status"] != "ok"].groupby(["status", "reason"], sort=False):
        names = ", ".join(dict.fromkeys(rows["image"]))
        logger.warning("%s: %s: %s", status, names, reason)
    text = folders.table(scores, suite)
    print(text)
    if options.out:
        output.prepare(options.out)
        write_text(options.out / "scores.csv", scores.to_csv(index=False))
        write_text(options.out / "tables.md", f"# {options.suite} against {targets}\n\n{text}\n")
    return 1 if (scores["status"] == "failed").any() else 0


def measure(stored: Run, progress: Progress) -> None:
    """Compute all scores of a run that are missing; the lock of its folder is held."""
    from benchmarks.engine.generate import generate
    from benchmarks.engine.measure import score

    generate(stored)  # what shards left: interpolations to images that other shards inverted later
    score(stored, tell=progress.scored)
    progress.end()
