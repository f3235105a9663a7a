"""Benchmark methods on a folder of photographs: aligned, inverted, edited, scored and reported.

Every image below the folder takes part; one without a face is a failed row with its reason.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.cli import run as run_command
from benchmarks.cli.parsing import Parser, add_device, add_json, at_least, name_list, suite_name
from benchmarks.errors import ConfigError

SUITE = "photographs"
EXAMPLES = """  python -m benchmarks bench photos
  python -m benchmarks bench photos --methods e4e,pti --limit 20
  python -m benchmarks bench photos --suite celeba-hq --device cuda     with official weights, at 1024 px"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photographs, in any folders below it")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings of the suite, e.g. seed=1")
    parser.add_argument("--methods", type=name_list, metavar="A,B", help="other methods than the suite's")
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="only N photographs")
    parser.add_argument("--suite", type=suite_name, default=SUITE, help=f"generator and settings (default: {SUITE})")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: runs/FOLDER)")
    add_device(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    folder = options.folder
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; give one with photographs in it")

    from benchmarks.engine.config import load_suite

    settings = {"path": str(folder.resolve())}
    for entry in load_suite(options.suite).datasets[:1]:
        if "resolution" in entry.options:  # of official generators, whose frame is FFHQ's
            settings |= {"align": "ffhq", "resolution": entry.options["resolution"]}
    datasets = [{"name": "folder", "options": settings, "limit": options.limit}]
    words = [f"datasets={json.dumps(datasets)}", *options.overrides]
    if options.methods:
        words.append(f"methods={json.dumps(options.methods)}")
    out = options.out or Path("runs") / folder.resolve().name
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"--out {out} lies in {folder}: its pictures would be photographs of the next run; choose another"
        )
    return start(options.suite, words, out, options)


def start(suite: str, overrides: list[str], out: Path, options: argparse.Namespace) -> int:
    """Run a suite as `run SUITE OVERRIDES --out OUT` does, with a command's own common options."""
    chosen = vars(run_command.options([suite, *overrides, "--out", str(out)]))
    common = {name: getattr(options, name) for name in ("device", "json", "quiet", "verbose", "debug")}
    return run_command.run(argparse.Namespace(**(chosen | common)))
