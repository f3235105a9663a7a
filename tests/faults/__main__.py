"""`python -m tests.faults SUITE --rounds N --out DIR`: kill, tear and starve runs; resume; compare the tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.errors import ConfigError
from tests.faults.run import inject_faults


def main(arguments: list[str] | None = None) -> int:
    """0 when every round ended with the undisturbed run's tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("suite", help="name of a shipped suite, or a YAML file")
    parser.add_argument("overrides", nargs="*", help="settings as key=value")
    parser.add_argument("--rounds", type=int, default=10, help="faults to inject, one a round (default: 10)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    options = parser.parse_args(arguments)
    try:
        return inject_faults(options.suite, options.overrides, options.rounds, options.out)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
