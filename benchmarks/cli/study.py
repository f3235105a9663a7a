"""Make a page on which people choose between two methods' images without knowing the methods; read their answers.

The page is a folder that opens from disk. Participants send back a file of answers; with --answers these become a
table of strengths (Bradley and Terry, 1952) with intervals over participants and images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.parsing import Parser, at_least, name_list
from benchmarks.errors import ConfigError

EXAMPLES = """  python -m benchmarks study runs/celeba64 --methods e4e,pti,e4e+pti --datasets openpeople --out study
  python -m benchmarks study study --answers anna.csv ben.csv"""
QUESTION = "Which of the two is closer to the image above?"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="a finished run; with --answers, the study's folder")
    parser.add_argument("--methods", type=name_list, metavar="A,B", help="at least two of the run's (default: all)")
    parser.add_argument("--datasets", type=name_list, metavar="A,B", help="of the run (default: all)")
    parser.add_argument(
        "--limit", type=at_least(1), default=12, metavar="N", help="images of each data set (default: 12)"
    )
    parser.add_argument("--question", default=QUESTION, metavar="TEXT", help=f"above every pair (default: {QUESTION})")
    parser.add_argument("--out", type=Path, default=Path("study"), metavar="DIR", help="folder of the study")
    parser.add_argument("--answers", nargs="+", type=Path, metavar="CSV", help="files that participants sent back")


def run(options: argparse.Namespace) -> int:
    from benchmarks.cli import output
    from reports import study
    from reports.frame import ReportError
    from reports.frame import read as read_run

    try:
        if options.answers:
            print(f"{'method':24} {'chosen':>12} {'strength':>9}  95 % interval")
            for one in sorted(study.read(options.folder, options.answers), key=lambda strength: -strength.value):
                chosen, interval = f"{one.wins} of {one.n}", f"[{one.low:+.2f}, {one.high:+.2f}]"
                print(f"{one.method:24} {chosen:>12} {one.value:>+9.2f}  {interval}")
            return 0
        results = read_run(options.folder)
        output.prepare(options.out)
        methods, datasets = options.methods or results.methods, options.datasets or results.datasets
        pairs = study.build(results, options.out, methods, datasets, options.limit, options.question)
    except (ReportError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    print(f"{options.out / 'page'}: {pairs} pairs; send this folder, and keep {options.out / 'key.json'}")
    return 0
