"""Show what a suite would run, what it will take, and what is missing, without running it.

Files that you have to bring yourself are listed with where they come from; the exit code is 2 while one is missing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_device, add_json, add_suite
from benchmarks.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.engine.costs import Estimate
    from benchmarks.engine.plan import Plan

EXAMPLES = """  python -m benchmarks plan celeba64
  python -m benchmarks plan celeba-hq --methods e4e,e4e+pti --limit 100"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)
    add_device(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli.suite import load

    suite, out = load(options)

    from benchmarks.engine import costs, runner
    from benchmarks.engine.machine import device_name, pick_device
    from benchmarks.engine.plan import expand
    from benchmarks.engine.requirements import needs
    from benchmarks.engine.run import Run
    from benchmarks.engine.workers import worker_count
    from benchmarks.protocols.base import GeneratingProtocol

    try:
        required = needs(suite)
    except (ValueError, KeyError) as error:
        raise ConfigError(str(error.args[0])) from error
    missing = sum(not need.present for need in required)
    if options.json and missing:
        print(json.dumps({"suite": suite.name, "missing": {n.what: n.source for n in required if not n.present}}))
        return 2
    if required and not options.json:
        print(f"{suite.name}: {suite.title}\n{len(required) - missing} of {len(required)} files and folders are here:")
        print("\n".join(need.line() for need in required))
    if missing:
        print(f"{missing} missing; nothing can run before they are in place (`fetch {suite.name}` brings the others)")
        return 2
    device = pick_device(options.device)
    plan = expand(suite)
    stored = Run(plan, out)
    workers = worker_count(suite.workers, device)
    pending = {stage_run.key: len(runner.pending(stored, stage_run, "missing")) for stage_run in plan.stage_runs}
    edits = sum(len(protocol.chosen(stage_run)) for protocol in plan.protocols for stage_run in plan.stage_runs
                if isinstance(protocol, GeneratingProtocol) and stage_run.key in plan.leaf.values())  # fmt: skip
    more = {"editing": edits * any(pending.values()), "scoring": scores_to_make(plan) * any(pending.values())}
    cost = costs.estimate(stored, pending, more, device_name(device))
    if options.json:
        about = {"suite": suite.name, "folder": str(out), "workers": workers, "images": sum(pending.values()),
                 "seconds": {phase: value / workers for phase, value in cost.seconds.items()}, "rough": cost.rough,
                 "unknown": cost.unknown, "memory_bytes": cost.memory * workers, "disk_bytes": cost.disk}  # fmt: skip
        print(json.dumps(about))
        return 0
    print(f"{suite.name}: {suite.title}")
    print(f"  generator {suite.generator} ({plan.generator_hash[:12]}), seed {', '.join(map(str, suite.all_seeds))}")
    print(f"  {plan.scope_words}")
    print(f"  {workers} workers on {device_name(device)}, results in {out}")
    for name, manifest in plan.manifests.items():
        print(f"  data set {name}: {len(manifest.ids)} images, {len(manifest.failures)} without a face or unreadable")
        for note in plan.notes(name):
            print(f"    {note}")
    for name, reason in plan.absent.items():
        print(f"  data set {name} is left out: {reason}")
    for stage_run in plan.stage_runs:
        stages = " + ".join(stage.name for stage in stage_run.stages)
        done = sum(row.status == "ok" for row in stored.rows(stage_run).values())
        methods = plan.methods_of(stage_run.key)
        print(f"  {stage_run.key}  {stage_run.dataset:14} {stages:40} {done:5} done   {', '.join(methods)}")
    for name, reason in plan.skipped.items():
        print(f"  metric {name} is left out: {reason}")
    for line in _estimated(cost, sum(pending.values()), workers):
        print(f"  {line}")
    return 0


def scores_to_make(plan: Plan) -> int:
    """Scores that are to be made, at most: one a metric, stage run and image."""
    from benchmarks.protocols.base import Need

    count = 0
    for dataset, stage_runs in Counter(plan.stage_run(key).dataset for key in set(plan.leaf.values())).items():
        images, without = len(plan.manifests[dataset].ids), plan.skipped.keys() | plan.undefined(dataset)
        for protocol in (each for each in plan.protocols if Need.INLINE not in each.needs):
            scores = protocol.scores(dataset, images)
            count += stage_runs * sum(number for metric, number in scores.items() if metric not in without)
    return count


def _estimated(cost: Estimate, images: int, workers: int) -> Iterator[str]:
    """Time, memory and disk in words."""
    from benchmarks.cli.live import duration

    if not images:
        yield "nothing is left to invert"
        return
    serial = ("scoring",)  # one process scores
    spent = {phase: seconds / (1 if phase in serial else workers) for phase, seconds in cost.seconds.items()}
    parts = ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in spent.items() if seconds)
    if parts:
        yield f"about {duration(sum(spent.values()))}: {parts}" + " (measured with other settings)" * cost.rough
    if cost.unknown:
        yield f"{', '.join(cost.unknown)} not measured on such a device yet: it takes longer than that"
    memory = f"{cost.memory * workers / 2**30:.1f} GB of memory, " if cost.memory else ""
    yield f"about {memory}{cost.disk / 1e6:,.0f} MB on disk for {images:,} inversions"
