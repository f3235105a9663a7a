"""Put results of several runs and versions on one static page; also writes the files to submit to such a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.parsing import Parser
from benchmarks.errors import ConfigError

EXAMPLES = """  python -m benchmarks leaderboard runs/celeba64 runs/mine --out board
  python -m benchmarks leaderboard submitted --out board        files of results, as docs/leaderboard.md has it"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="runs, or folders of files of results")
    parser.add_argument("--out", type=Path, default=Path("leaderboard"), metavar="DIR", help="folder of the page")


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli import output
    from reports.frame import ReportError
    from reports.leaderboard import build

    output.prepare(options.out)
    try:
        page, results, boards = build(options.folders, options.out)
    except (ReportError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    print(f"{page}: {results} results on {boards} boards")
    return 0
