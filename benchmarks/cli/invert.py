"""Align and invert photographs: any image file with a face in it.

Writes DIR/NAME/{target,reconstruction}.png, latent.safetensors and metrics.json for each photograph, and
generator-delta.safetensors where the method tunes the generator.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_device, registered, suite_name

if TYPE_CHECKING:
    from benchmarks.engine.photographs import Bench, Photograph

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
    bench = load(options)

    from benchmarks.engine.photographs import measured

    def save(photograph: Photograph) -> str:
        values: dict[str, float | None] = {}
        for name, (value, reason) in measured(bench, photograph).items():
            values[name] = value
            if reason:
                logger.warning("%s: %s: %s", photograph.path, name, reason)
        values["seconds"] = round(photograph.seconds, 3)
        report = {"method": options.method, "metrics": values}
        photograph.save(options.out, bench.generator, {"metrics.json": report})
        return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None)

    return each(options, bench, save)


def load(options: argparse.Namespace) -> Bench:
    """What options ask for. Raises ConfigError where there is no such thing."""
    from benchmarks.engine.config import load_suite

    load_suite(options.suite, options.set)  # wrong settings are found before torch is imported

    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.photographs import prepare

    bench = prepare(options.method, options.suite, options.set, pick_device(options.device))
    bench.pipeline.debug = options.debug
    return bench


def each(options: argparse.Namespace, bench: Bench, save: Callable[[Photograph], str]) -> int:
    """Invert all photographs, save each and print what `save` returns; 1 where one of them failed, else 0."""
    from tqdm.auto import tqdm

    from benchmarks.cli import output
    from benchmarks.engine.photographs import inverted

    output.prepare(options.out)
    failed = 0
    for path, result in tqdm(inverted(bench, options.images), total=len(options.images), unit="image", disable=None):
        try:
            text = result if isinstance(result, str) else f"{options.out / result.name}: {save(result)}"
        except (RuntimeError, ValueError) as error:  # as in a run: one image's failure stops no other
            if options.debug:
                raise
            logger.debug("%s", path, exc_info=True)
            result = text = f"{type(error).__name__}: {error}"
        if isinstance(result, str):
            failed += 1
            logger.error("%s: %s", path, text)
        else:
            print(text)
    return 1 if failed else 0
