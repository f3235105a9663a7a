"""`python -m benchmarks.perf.rows`: time and memory of `report` on a million rows.

By default 20 methods on 3 data sets of 2,824 images, 8 values each. The values are random; tables, intervals, paired
comparisons, figures and the dashboard are those of any run.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.perf.dashboard import simulate
from reports.build import build


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.rows", description=__doc__)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--images", type=int, default=2824)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = simulate(Path(folder), options.methods, options.sets, options.images)
        (Path(folder) / "run.json").write_text(json.dumps(results.run), encoding="utf-8")
        rows, before = len(results.rows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        del results
        start = time.perf_counter()
        build(folder)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| rows | seconds | peak memory | of that, rows made |\n| --: | --: | --: | --: |\n"
          f"| {rows:,} | {seconds:.0f} | {peak:.2f} GiB | {before:.2f} GiB |")  # fmt: skip


if __name__ == "__main__":
    main()
