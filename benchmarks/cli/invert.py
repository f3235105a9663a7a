"""Align and invert photographs: any image file with a face in it.

Writes DIR/NAME/{target,reconstruction}.png, latent.safetensors and metrics.json for each photograph, and
generator-delta.safetensors where the method tunes the generator.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.cli.parsing import Parser, add_device, registered, suite_name

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks invert pti photo.jpg --out out
  python -m benchmarks invert e4e+pti *.jpg --out out --device cuda
  python -m benchmarks invert pti photo.jpg --out out --set stage_settings.pivotal_tuning.steps=100"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "method", type=registered("methods.registry:METHODS"), help="a method (see `list methods`) or a YAML file"
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="files of any common image format")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--suite", type=suite_name, default="faces64", help="suite whose generator and settings are used (faces64)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the suite")
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    from tqdm.auto import tqdm

    from benchmarks.cli import output
    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.photographs import inverted, measured, prepare

    bench = prepare(options.method, options.suite, options.set, pick_device(options.device))
    output.prepare(options.out)
    failed = 0
    for path, result in tqdm(inverted(bench, options.images), total=len(options.images), unit="image", disable=None):
        if isinstance(result, str):
            failed += 1
            logger.error("%s: %s", path, result)
            continue
        values: dict[str, float | None] = {}
        for name, (value, reason) in measured(bench, result).items():
            values[name] = value
            if reason:
                logger.warning("%s: %s: %s", path, name, reason)
        values["seconds"] = round(result.seconds, 3)
        report = {"method": options.method, "metrics": values}
        folder = result.save(options.out, bench.generator, {"metrics.json": report})
        print(f"{folder}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None))
    return 1 if failed else 0
