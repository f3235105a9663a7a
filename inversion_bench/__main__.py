"""The command line, `inversion-bench` and `python -m inversion_bench`; also what starts every worker process."""

import os
import sys
from importlib import import_module

from inversion_bench import ROOT


def main() -> int:
    """Carry out the command that the process was started with; returns its exit code."""
    # Whatever it starts, workers and tools among them, finds the same packages.
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([ROOT, *filter(None, others)]))
    import_module("benchmarks.engine.allocator").keep_freed_memory()
    code: int = import_module("benchmarks.cli").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
