"""Download, verify and convert weights and images into the cache (INVERSION_BENCH_CACHE moves it).

Files that may not be downloaded are listed with their source and the folder to put them in; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import WORLD, Parser
from benchmarks.errors import ConfigError
from inversion_bench.registry import unknown

if TYPE_CHECKING:
    from benchmarks.engine.config import SuiteConfig

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks fetch celeba64      all that a suite needs
  python -m benchmarks fetch lpips_alex    one asset, see `list assets`"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", default=WORLD, help=f"an asset, a suite or its YAML file (default: {WORLD})")


def run(options: argparse.Namespace) -> int:
    from benchmarks.engine.config import load_suite, suite_names
    from benchmarks.engine.requirements import compared, missing_file, needed_assets
    from datasets import assets

    known, suite = assets.registry(), None
    if options.name not in known:
        if options.name not in suite_names() and not options.name.endswith((".yaml", ".yml")):
            raise ConfigError(str(unknown("asset or suite", options.name, [*suite_names(), *known])))
        suite = load_suite(options.name)

    failed = 0
    for name in needed_assets(suite) if suite else [options.name]:
        asset = known[name]
        if need := missing_file(asset):
            print(need.line())
            failed += 1
            continue
        size = max((source.bytes for source in asset.sources), default=0) / 1e6
        print(f"{name}: {asset.title}\n  licence: {asset.licence}; from {asset.sources[0].describe()}, {size:.0f} MB")
        try:
            print(f"  {assets.ensure(name, quiet=False)}")
            if comparison := compared(asset):
                print(f"  {comparison}")
        except assets.AssetMissingError as error:
            logger.error("%s", error)
            failed += 1
    return 1 if failed + (_missing_data(suite) if suite else 0) else 0


def _missing_data(suite: SuiteConfig) -> int:
    """Print the data sets that a suite needs and that are not here; returns how many."""
    from benchmarks.engine.requirements import needed_data

    missing = [need for need in needed_data(suite) if not need.present]
    for need in missing:
        print(need.line())
    return len(missing)
