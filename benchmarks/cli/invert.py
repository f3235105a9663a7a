"""Invert photographs: any image files, cut to the frame of the generator's images.

Writes DIR/NAME/{target,reconstruction}.png, latent.safetensors and metrics.json for each photograph, and
generator-delta.safetensors where the method tunes the generator.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.parsing import Parser, add_device, one_of, registered, suite_name

if TYPE_CHECKING:
    from benchmarks.engine.photographs import Bench, Photograph
    from methods.generators import Generator

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks invert pti photo.jpg --out out
  python -m benchmarks invert e4e+pti *.jpg --out out --device cuda
  python -m benchmarks invert sg2_w cat.png --align none --domain cats --set generator=cats.pkl --out out
  python -m benchmarks invert pti photo.jpg --out out --set stage_settings.pivotal_tuning.steps=100"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "method", type=registered("methods.registry:METHODS"), help="a method (see `list methods`) or a YAML file"
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="files of any common image format")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    add_settings(parser)


def add_settings(parser: Parser) -> None:
    parser.add_argument(
        "--suite", type=suite_name, help="suite whose generator and settings are used (default: that of the generator)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the suite")
    parser.add_argument(
        "--align",
        type=one_of("frame", ["ffhq", "tight", "none"]),
        metavar="ffhq|tight|none",
        help="frame that photographs are cut to (default: the generator's); none: square images as they are",
    )
    parser.add_argument("--domain", default="", help="what the images show, as faces, cats (default: the generator's)")
    parser.add_argument(
        "--face", default="1", metavar="N|all", help="which of several faces, counted from the largest (1), or all"
    )
    add_device(parser)


def run(options: argparse.Namespace) -> int:
    bench = load(options)

    from benchmarks.engine.photographs import METRICS, measured

    def save(photograph: Photograph) -> str:
        values: dict[str, float | None] = {}
        for name, (value, reason) in measured(bench, photograph).items():
            values[name] = value
            if reason:
                logger.warning("%s: %s: %s", photograph.source, name, reason)
        values["seconds"] = float(photograph.facts["seconds"])
        photograph.save(options.out, bench.generator, {METRICS: {"metrics": values}})
        return ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None)

    return each(options, bench, save)


def load(options: argparse.Namespace, check: Callable[[Generator, str], object] = lambda *_: None) -> Bench:
    """What options ask for. Raises ConfigError where there is no such thing.

    Args:
        options: of the command.
        check: called with the generator and the chosen domain before anything is written.
    """
    from benchmarks.engine.config import load_suite

    asked = dict(word.partition("=")[::2] for word in options.set).get("generator", "")
    # Wrong settings are found before torch is imported.
    suite = load_suite(options.suite or suite_of(asked), options.set)

    from benchmarks.cli import output
    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.photographs import checked, prepare, settings

    device = pick_device(options.device)
    chosen = settings(suite, options.method, options.align or "", options.domain)
    generator = checked(chosen, options.face)
    check(generator, chosen.domain)
    output.prepare(options.out)
    bench = prepare(chosen, generator, options.images, options.out, device, options.face)
    logger.info("generator %s, settings of suite %s, %s", suite.generator, suite.name, bench.run.plan.scope_words)
    for note in bench.run.plan.notes("photographs", failures=False):  # `each` says those
        logger.warning("%s", note)
    return bench


def suite_of(generator: str) -> str:
    """The first shipped suite with a generator; celeba64 where there is none."""
    from benchmarks.engine.config import load_suite, suite_names

    named = ["celeba64", *suite_names()]
    return next((name for name in named if load_suite(name).generator == generator), "celeba64")


def each(options: argparse.Namespace, bench: Bench, save: Callable[[Photograph], str]) -> int:
    """Invert all photographs, save each and print what `save` returns; 1 where one of them failed, else 0."""
    from tqdm.auto import tqdm

    from benchmarks.engine import photographs

    run, failed = bench.run, 0
    files = [run.store(stage_run).row_files() for stage_run in run.plan.stage_runs]
    total = len(files) * len(run.plan.manifests["photographs"].ids)
    with tqdm(total=total, desc="inverting", unit="image", disable=None) as bar:

        def tick() -> None:
            bar.update(sum(1 for each in files for _ in each.new_rows()))

        results = list(photographs.inverted(bench, options.debug, tick))
    for path, result in results:
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
    photographs.finish(bench)
    return 1 if failed else 0
