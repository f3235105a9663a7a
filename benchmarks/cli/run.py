"""Invert, score and report a suite. What is done already is kept: the same command resumes it.

Several commands may work in one folder, on one machine or on many; they share the images.
"""

from __future__ import annotations

import argparse
import logging
import re
from typing import TYPE_CHECKING

from benchmarks.cli import logs
from benchmarks.cli.parsing import Parser, add_device, add_json, add_replace, add_suite, add_wandb, at_least, one_of
from benchmarks.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.engine.types import Shard

logger = logging.getLogger(__name__)

RESUME = ["missing", "failed", "all", "none"]
EXAMPLES = """  python -m benchmarks run celeba64
  python -m benchmarks run celeba64 --methods e4e,pti --datasets openpeople --limit 4
  python -m benchmarks run celeba64 datasets.0.limit=4 --out runs/few
  python -m benchmarks run celeba64 --workers 2 --timeout 600
  python -m benchmarks run celeba-hq --device cuda:1
  python -m benchmarks run celeba-hq --shard 0/4 --out runs/part-0    one of four machines without a shared folder
  python -m benchmarks run celeba-hq --executor submitit --workers 64 --executor-option slurm_partition=gpu"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)
    add_device(parser)
    parser.add_argument(
        "--resume",
        type=one_of("value", RESUME),
        default="missing",
        metavar="|".join(RESUME),
        help="which images to invert: those not done yet (default), those and the failed ones, all, or none",
    )
    parser.add_argument(
        "--shard", default="0/1", metavar="I/N", help="every N-th image from I on, for several machines"
    )
    parser.add_argument(
        "--phase",
        "--only",
        type=one_of("phase", ["invert", "generate"]),
        metavar="invert|generate",
        help="stop after inverting, or only make the images of protocols, e.g. edited ones; one worker, in this "
        "process: start it several times to share the images (--only: its former name)",
    )
    parser.add_argument(
        "--executor",
        default="local",
        metavar="local|submitit|ray",
        help="what starts the workers: processes here (default), SLURM through submitit, or Ray",
    )
    parser.add_argument(
        "--executor-option",
        "--engine",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of submitit or Ray; may be repeated (--engine: its former name)",
    )
    parser.add_argument(
        "--workers", type=at_least(1), default=0, metavar="N", help="worker processes (default: the suite's setting)"
    )
    parser.add_argument(
        "--threads",
        type=at_least(0),
        default=1,
        metavar="N",
        help="threads of a worker on a CPU; more than 1 may change last digits; 0: cores divided by workers",
    )
    parser.add_argument(
        "--timeout",
        type=at_least(0, float),
        default=0.0,
        metavar="SECONDS",
        help="end a worker whose image takes longer; its images are tried again (default: no limit)",
    )
    add_wandb(parser)
    add_replace(parser)
    add_json(parser)
    # Of workers that an executor starts.
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--planned", default="", help=argparse.SUPPRESS)


def options(words: list[str]) -> argparse.Namespace:
    """What words of this command amount to, for commands that start it. Raises ConfigError for wrong ones."""
    parser = Parser(prog="run")
    add_arguments(parser)
    logs.add_arguments(parser)
    return parser.parse(words)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli.suite import load, load_run, refuse_other_settings
    from benchmarks.engine.claims import require_locks

    require_locks("run")
    suite, out = load(options)  # wrong settings are found before torch is imported
    shard = parse_shard(options.shard)
    if not (options.phase or options.worker):
        refuse_other_settings(out, suite, options.replace)

    import torch
    from filelock import FileLock

    from benchmarks.cli import output, report, score
    from benchmarks.cli.live import live
    from benchmarks.engine.executors.base import EXECUTORS
    from benchmarks.engine.export import describe
    from benchmarks.engine.generate import generate
    from benchmarks.engine.progress import Progress
    from benchmarks.engine.runner import invert
    from benchmarks.engine.types import WorkerOptions
    from benchmarks.engine.workers import Fleet, execute, options_of
    from reports.wandb_sink import following

    EXECUTORS.target(options.executor)  # raises where there is none
    fleet = Fleet(
        options.executor,
        options.workers,
        options.threads,
        options.timeout,
        options_of(options.executor_option),
        options.debug,
    )
    run = load_run(suite, out, options.device)
    output.prepare(run.out, options.worker)
    if not options.worker:
        logger.info("%s", run.plan.scope_words)
        for name, reason in run.plan.absent.items():
            logger.warning("data set %s is left out: %s", name, reason)
        for name in run.plan.manifests:
            for note in run.plan.notes(name):
                logger.warning("data set %s: %s", name, note)
        if options.workers > 1 and (options.phase or shard.of > 1):
            logger.warning("--phase and --shard work in this process alone: start it %d times", options.workers)
    if options.phase or shard.of > 1:
        torch.set_num_threads(options.threads or 1)
        worker = WorkerOptions(options.worker, options.workers or 1, options.timeout, options.planned, options.debug)
        if options.phase != "generate":
            invert(run, options.resume, shard, options=worker)
        if options.phase != "invert":
            generate(run, shard, options=worker)
        if options.phase:
            return 0
    about = describe(run.plan) if options.wandb else {}
    with live(options.quiet) as show, following(run.out, options.wandb, about) as log:
        progress = Progress(run, show)
        try:
            if shard.of == 1:
                execute(run, options.suite, options.overrides, options.resume, fleet, progress)
            with FileLock(run.out / "run.lock"):
                score.measure(run, progress)
                progress.begin("reporting", {})
                written = report.write(run)
            log()
        finally:
            progress.close()
    return report.show(written, options) or int(bool(run.plan.absent))


def parse_shard(text: str) -> Shard:
    """The part of the images that `i/n` names. Raises ConfigError."""
    from benchmarks.engine.types import Shard

    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or int(match[1]) >= int(match[2]):
        raise ConfigError(f"--shard must be i/n with 0 <= i < n, found {text!r}")
    return Shard(int(match[1]), int(match[2]))
