"""Invert photographs and move them along edit directions.

Writes DIR/NAME/{target,reconstruction,edited,edits}.png, latent.safetensors and edit.json for each photograph.
An amount is in the unit of the direction's attribute (yaw=-15: degrees), or in standard deviations of the
generator's codes (yaw=-2sd).
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cli import invert
from benchmarks.cli.parsing import Parser, registered
from benchmarks.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.engine.photographs import Photograph
    from methods.generators import Generator

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks list directions
  python -m benchmarks edit e4e+pti photo.jpg --edit yaw=-15 --edit smile=+2 --out out
  python -m benchmarks edit out --edit yaw=+10             what `invert` has written to out
  python -m benchmarks edit e4e photo.jpg --edit pose=2sd --directions pose.pt --out out"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "method", type=method_or_folder, metavar="METHOD|DIR", help="a method, or a folder that `invert` has written"
    )
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="photographs, or further such folders")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: the inversion's)")
    invert.add_settings(parser)
    parser.add_argument(
        "--edit",
        action="append",
        required=True,
        metavar="NAME=AMOUNT",
        help="a direction and a change; may be repeated",
    )
    parser.add_argument(
        "--directions",
        type=Path,
        metavar="FILE",
        help="directions of `train directions` (.safetensors) or of InterFaceGAN (.pt, .npy); "
        "default: those that come with the generator, see `list directions`",
    )


def method_or_folder(text: str) -> str:
    """A type of argument: a method, or a folder."""
    return text if Path(text).is_dir() else registered("methods.registry:METHODS")(text)


def run(options: argparse.Namespace) -> int:
    if Path(options.method).is_dir():
        return _edit_finished(options)
    if not (options.images and options.out):
        raise ConfigError("`edit METHOD` takes photographs and --out DIR; `edit DIR` takes a finished inversion")

    def check(generator: Generator, domain: str) -> None:
        from benchmarks.engine.photograph_edits import load_edits

        load_edits(options.edit, options.directions, generator, domain)

    bench = invert.load(options, check)
    save = _saver(options, bench.generator, bench.run.plan.scope.domain, lambda _: options.out)
    return invert.each(options, bench, save)


def _edit_finished(options: argparse.Namespace) -> int:
    """Edit what `invert` has written, without inverting again."""
    from benchmarks.cli import output
    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.photographs import METRICS, finished

    places = [Path(options.method), *options.images]
    asked = dict(word.partition("=")[::2] for word in options.set).get("generator", "")
    generator, photographs = finished(places, asked, pick_device(options.device))
    beside = {each.name: place if (place / each.name).is_dir() else place.parent
              for each, place in _places(photographs, places)}  # fmt: skip
    domain = options.domain or photographs[0].facts.get("domain", "")
    save = _saver(
        options, generator, domain, lambda name: options.out or beside[name], (METRICS,) * (options.out is None)
    )
    if options.out:
        output.prepare(options.out)
    for photograph in photographs:
        print(f"{(options.out or beside[photograph.name]) / photograph.name}: {save(photograph)}")
    return 0


def _places(photographs: list[Photograph], places: list[Path]) -> Iterator[tuple[Photograph, Path]]:
    """Inversions, each with the folder that it was found by."""
    for photograph in photographs:
        name = photograph.name
        yield photograph, next(place for place in places if (place / name).is_dir() or place.name == name)


def _saver(
    options: argparse.Namespace, generator: Generator, domain: str, out: Callable[[str], Path], keep: Sequence[str] = ()
) -> Callable[[Photograph], str]:
    """A function that edits an inversion, saves it and says what came of it."""
    from benchmarks.engine.photograph_edits import identity_missing, load_edits, save_edited
    from datasets.scope import Scope

    edits = load_edits(options.edit, options.directions, generator, domain)
    if reason := identity_missing(Scope(domain=domain)):
        logger.warning("identity is left out: %s", reason)

    def save(photograph: Photograph) -> str:
        photograph = replace(photograph, facts=photograph.facts | {"domain": domain})
        report = save_edited(photograph, edits, out(photograph.name), generator, keep)
        for entry in report["edits"]:
            if "measured" in entry and entry["measured"] is None:
                logger.warning("%s: %s cannot be read from its images", photograph.source, entry["direction"])
        return _line(report)

    return save


def _line(report: dict[str, Any]) -> str:
    """What came out of the edits of one photograph."""
    parts = []
    for entry in report["edits"]:
        measured = entry.get("measured")
        effect = "" if measured is None else f" (measured {measured:+.3g} {entry['unit']})"
        parts.append(f"{entry['direction']} {entry['asked']}{effect}")
    if identity := report.get("id_sface"):
        parts.append("id_sface " + ", ".join(f"{v:.3f} {k}" for k, v in identity.items() if v is not None))
    return ", ".join(parts)
