"""Show how many images of a suite are ok, failed and missing; the exit code is 1 while some are missing."""

from __future__ import annotations

import argparse
from collections import Counter

from benchmarks.cli.parsing import Parser, add_suite

EXAMPLES = """  python -m benchmarks status faces64
  python -m benchmarks status faces64 --out runs/mine"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser)


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli.suite import load_run

    stored = load_run(options)
    missing = 0
    for (method, dataset), key in stored.plan.leaf.items():
        rows, manifest = stored.rows(key), stored.plan.manifests[dataset]
        states = Counter(rows[image].status if image in rows else "missing" for image in manifest.ids)
        states["failed"] += states["blocked"] + len(manifest.failures)
        missing += states["missing"]
        print(
            f"{method:20} {dataset:14} ok {states['ok']:5}  failed {states['failed']:4}  missing {states['missing']:5}"
        )
    return 1 if missing else 0
