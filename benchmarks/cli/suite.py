"""plan, run, score, report and status of a suite."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock

from benchmarks.engine.config import SuiteConfig, load_suite
from benchmarks.engine.export import compact
from benchmarks.engine.machine import pick_device
from benchmarks.engine.plan import expand
from benchmarks.engine.requirements import needs
from benchmarks.engine.run import Run
from benchmarks.engine.runner import Duty, Shard, invert
from benchmarks.engine.score import score
from benchmarks.engine.workers import Fleet, execute, options_of, worker_count
from benchmarks.errors import ConfigError
from benchmarks.protocols.editing import sets as editing_sets
from benchmarks.protocols.editing.work import edit
from metrics.base import UNDEFINED
from reports.frame import ReportError


def run_suite_command(options: argparse.Namespace) -> int:
    """Carry out one of the suite commands; returns the exit code."""
    shard = parse_shard(getattr(options, "shard", "0/1"))
    suite = load_suite(options.suite, options.overrides)
    out = options.out or Path("runs") / suite.name
    if options.command == "plan" and _print_needs(suite):
        return 2
    plan = expand(suite)
    if options.command == "plan":
        return _print_plan(Run(plan, out))
    if options.command == "status":
        return _print_status(Run(plan, out))
    check_writable(out)
    run = Run(plan, out, pick_device("auto"))
    _check_layouts(getattr(options, "layout", []))
    if options.command == "run":
        workers, threads, timeout = options.workers, options.threads, options.timeout
        fleet = Fleet(options.executor, workers, threads, timeout, options_of(options.engine))
        if min(workers, threads) < 0 or timeout < 0:
            raise ConfigError(
                f"--workers {workers}, --threads {threads}, --timeout {timeout:g}: expected numbers of at least 0"
            )
        if options.only or shard.of > 1:
            torch.set_num_threads(options.threads or 1)
            duty = Duty(options.worker, options.workers or 1, options.timeout, options.before)
            if options.only != "edit":
                invert(run, options.resume, shard, progress=False, duty=duty)
            if options.only != "invert":
                edit(run, shard, progress=False, duty=duty)
            if options.only:
                return 0
        else:
            execute(run, options.suite, options.overrides, options.resume, fleet)
    # Of several commands that end in one folder, one scores and reports at a time; the next finds little to do.
    with FileLock(run.out / "run.lock"):
        if options.command in ("run", "score"):
            edit(run)  # what shards left: lines to images that other shards inverted later
            score(run)
            editing_sets.score(run)
        return _report(run, options)


def parse_shard(text: str) -> Shard:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or int(match[1]) >= int(match[2]):
        raise ConfigError(f"--shard must be i/n with 0 <= i < n, found {text!r}")
    return Shard(int(match[1]), int(match[2]))


def check_writable(out: Path) -> None:
    """Raises ConfigError when results cannot be written to the folder, which is made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"{out}: results cannot be written there ({error}); choose another folder with --out"
        ) from error


def _check_layouts(names: list[str]) -> None:
    from reports import layout

    try:
        for name in names:
            layout.load(name)
    except ReportError as error:
        raise ConfigError(str(error)) from error


def _report(run: Run, options: argparse.Namespace) -> int:
    from reports import wandb_sink
    from reports.build import build
    from reports.figures import Choice

    frame, suite = compact(run), run.plan.suite
    reference = suite.reference_method if suite.reference_method in suite.methods else ""
    choice = Choice(tuple(getattr(options, "images", ())), getattr(options, "rank_by", ""))
    try:
        for path in build(run.out, reference, getattr(options, "layout", ()), choice):
            print(path)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    if mode := getattr(options, "wandb", None):
        wandb_sink.push(run.out, mode)
    return say_failures(frame, run.out / "report" / "tables.md")


def say_failures(frame: pd.DataFrame, reasons: Path) -> int:
    """Print how many images have rows without a value; 1 where one of them is a fault, else 0.

    No face in an edited picture is a finding; an inversion that broke off, or a file that cannot be read, is a fault.
    """
    failed = frame[frame["status"] == "failed"]
    undefined = failed["reason"].str.startswith(UNDEFINED)
    parts = {"failed rows": failed[~undefined], "numbers that are not defined": failed[undefined]}
    for what, rows in parts.items():
        if len(rows):
            images = len(rows.groupby(["dataset", "image"]))
            print(f"{images} images have {what}; reasons are in {reasons}")
    return 1 if (~undefined).any() else 0


def _print_needs(suite: SuiteConfig) -> int:
    """The list of what the user has to bring, where the suite asks for such; returns how much of it is missing."""
    found = needs(suite)
    lacking = sum(not need.present for need in found)
    if found:
        print(f"{suite.name}: {suite.title}\n{len(found) - lacking} of {len(found)} files and folders are here:")
        print("\n".join(need.line() for need in found))
    if lacking:
        print(f"{lacking} missing; nothing can run before they are in place (`fetch {suite.name}` brings the others)")
    return lacking


def _print_plan(run: Run) -> int:
    suite, sha256 = run.plan.suite, run.plan.generator_hash
    print(f"{suite.name}: {suite.title}\n  generator {suite.generator} ({sha256[:12]}), seed {suite.seed}")
    print(f"  {worker_count(suite.workers)} workers, results in {run.out}")
    for name, manifest in run.plan.manifests.items():
        print(f"  data set {name}: {len(manifest.ids)} images, {len(manifest.failures)} without a face or unreadable")
    for stage_run in run.plan.stage_runs:
        stages = " + ".join(stage.name for stage in stage_run.stages)
        done = sum(row["status"] == "ok" for row in run.rows(stage_run).values())
        used = [
            method
            for (method, dataset), key in run.plan.leaf.items()
            if dataset == stage_run.dataset and key == stage_run.key
        ]
        print(f"  {stage_run.key}  {stage_run.dataset:14} {stages:40} {done:5} done   {', '.join(used)}")
    for name, reason in run.plan.skipped.items():
        print(f"  metric {name} is left out: {reason}")
    return 0


def _print_status(run: Run) -> int:
    missing = 0
    for (method, dataset), key in run.plan.leaf.items():
        rows = run.rows(key)
        manifest = run.plan.manifests[dataset]
        states = Counter(rows[i]["status"] if i in rows else "missing" for i in manifest.ids)
        states["failed"] += len(manifest.failures)
        missing += states["missing"]
        print(
            f"{method:20} {dataset:14} ok {states['ok']:5}  failed {states['failed']:4}  missing {states['missing']:5}"
        )
    return 1 if missing else 0
