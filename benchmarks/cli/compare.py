"""Compare two finished runs of the same metrics and images, paired by image, as markdown."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.parsing import Parser, one_of
from benchmarks.errors import ConfigError

EXAMPLES = """  python -m benchmarks compare runs/main runs/mine
  python -m benchmarks compare runs/main runs/mine --across settings --out comparison.md"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("a", type=Path, metavar="A", help="folder of the first run, as of the main branch")
    parser.add_argument("b", type=Path, metavar="B", help="folder of the second run, as of a pull request")
    parser.add_argument(
        "--across",
        action="append",
        default=[],
        type=one_of("difference", ["generators", "settings", "seeds"]),
        metavar="generators|settings|seeds",
        help="compare although these differ; metrics and images always have to agree; may be repeated",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: print)")


def run(options: argparse.Namespace) -> int:
    from inversion_bench.files import write_text
    from reports.compare import compare
    from reports.frame import ReportError, read

    try:
        text = compare(read(options.a), read(options.b), options.across)
    except (ReportError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    if options.out:
        write_text(options.out, text)
        print(options.out)
    else:
        print(text, end="")
    return 0
