"""`python -m benchmarks.perf.costs RUN...`: write benchmarks/suites/costs.json, from which `plan` estimates.

Give finished runs of an idle machine; a kind of stage that they did not run keeps its former entry.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.engine.costs import SHIPPED, Costs, dumps, measured, shipped
from inversion_bench.files import write_text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.costs", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run")
    options = parser.parse_args(arguments)
    new = Costs(cost for run in options.runs for cost in measured(run).costs)
    known = {(cost.device, cost.generator, cost.kind) for cost in new.costs}
    kept = [cost for cost in shipped().costs if (cost.device, cost.generator, cost.kind) not in known]
    write_text(SHIPPED, dumps(new + Costs(kept)))
    print(f"{SHIPPED}: {len(known)} measured, {len(kept)} kept")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
