"""Show what a suite would run and what is missing, without running it.

Files that you have to bring yourself are listed with where they come from; the exit code is 2 while one is missing.
"""

from __future__ import annotations

import argparse

from benchmarks.cli.parsing import Parser, add_suite
from benchmarks.errors import ConfigError

EXAMPLES = """  python -m benchmarks plan faces64
  python -m benchmarks plan celeba-hq 'methods=[e4e,e4e+pti]' datasets.0.limit=100"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli.suite import load

    suite, out = load(options)

    from benchmarks.engine.plan import expand
    from benchmarks.engine.requirements import needs
    from benchmarks.engine.run import Run
    from benchmarks.engine.workers import worker_count

    try:
        required = needs(suite)
    except (ValueError, KeyError) as error:
        raise ConfigError(str(error.args[0])) from error
    missing = sum(not need.present for need in required)
    if required:
        print(f"{suite.name}: {suite.title}\n{len(required) - missing} of {len(required)} files and folders are here:")
        print("\n".join(need.line() for need in required))
    if missing:
        print(f"{missing} missing; nothing can run before they are in place (`fetch {suite.name}` brings the others)")
        return 2
    plan = expand(suite)
    stored = Run(plan, out)
    print(f"{suite.name}: {suite.title}\n  generator {suite.generator} ({plan.generator_hash[:12]}), seed {suite.seed}")
    print(f"  {worker_count(suite.workers)} workers, results in {out}")
    for name, manifest in plan.manifests.items():
        print(f"  data set {name}: {len(manifest.ids)} images, {len(manifest.failures)} without a face or unreadable")
    for stage_run in plan.stage_runs:
        stages = " + ".join(stage.name for stage in stage_run.stages)
        done = sum(row.status == "ok" for row in stored.rows(stage_run).values())
        methods = [m for (m, dataset), key in plan.leaf.items() if (dataset, key) == (stage_run.dataset, stage_run.key)]
        print(f"  {stage_run.key}  {stage_run.dataset:14} {stages:40} {done:5} done   {', '.join(methods)}")
    for name, reason in plan.skipped.items():
        print(f"  metric {name} is left out: {reason}")
    return 0
