"""compare and merge: what stands between finished runs, without a suite."""

from __future__ import annotations

import argparse

from benchmarks.cli.suite import check_writable
from benchmarks.engine.merge import merge
from benchmarks.engine.store import write_atomically
from benchmarks.errors import ConfigError
from reports.compare import compare
from reports.frame import ReportError, read

SHOWN = 10  # conflicts that are named


def compare_command(options: argparse.Namespace) -> int:
    """Print or write the comparison of two runs; raises ConfigError when there is nothing to compare."""
    try:
        text = compare(read(options.a), read(options.b), options.across)
    except (ReportError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    if options.out:
        write_atomically(options.out, text.encode())
        print(options.out)
    else:
        print(text, end="")
    return 0


def merge_command(options: argparse.Namespace) -> int:
    """Merge folders of results and say what was decided."""
    check_writable(options.out)
    done = merge(options.out, options.folders, options.across)
    print(f"{options.out}: {done.images} images and {done.scores} scores merged, {done.stage_runs} new stage runs")
    for what, found in sorted(done.measured_with.items()):
        if len(found - {""}) > 1:
            print(f"note: the rows come from different {what}: {', '.join(sorted(found - {''}))}")
    if done.conflicts:
        print(f"{len(done.conflicts)} images have different pictures in the folders:")
        for line in done.conflicts[:SHOWN]:
            print(f"  {line}")
        if len(done.conflicts) > SHOWN:
            print(f"  ... and {len(done.conflicts) - SHOWN} more")
    print(f"next: python -m benchmarks run SUITE --out {options.out} --resume none (scores and reports)")
    return 0
