"""Download, verify and convert weights and images into the cache (INVERSION_BENCH_CACHE moves it).

Says where to get and where to put what may not be downloaded; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import logging

from benchmarks.cli.parsing import WORLD, Parser
from benchmarks.errors import ConfigError
from inversion_bench.registry import unknown

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks fetch faces64       all that a suite needs
  python -m benchmarks fetch lpips_alex    one asset, see `list assets`"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", default=WORLD, help=f"an asset or a suite (default: {WORLD})")


def run(options: argparse.Namespace) -> int:
    from datasets import assets

    known = assets.registry()
    suites = sorted({suite for asset in known.values() for suite in asset.suites})
    if options.name not in (*known, *suites):
        raise ConfigError(str(unknown("asset or suite", options.name, [*suites, *known])))
    from benchmarks.engine.requirements import compared, missing_file

    failed = 0
    for name in [options.name] if options.name in known else [n for n in known if options.name in known[n].suites]:
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
    return 1 if failed + _missing_data(options.name) else 0


def _missing_data(suite: str) -> int:
    """Print the data sets that a suite needs and that are not here; returns how many."""
    from benchmarks.engine.config import load_suite, suite_names
    from benchmarks.engine.requirements import needs

    if suite not in suite_names():
        return 0
    missing = [need for need in needs(load_suite(suite)) if not need.present and need.what.startswith("data set")]
    for need in missing:
        print(need.line())
    return len(missing)
