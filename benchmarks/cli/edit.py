"""Invert photographs and move them along edit directions.

Writes DIR/NAME/{target,reconstruction,edited,edits}.png, latent.safetensors and edit.json for each photograph.
An amount is in the unit of the direction's attribute (yaw=-15: degrees), or in standard deviations of the
generator's codes (yaw=-2sd).
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cli import invert
from benchmarks.cli.parsing import Parser

if TYPE_CHECKING:
    from benchmarks.engine.photographs import Photograph

logger = logging.getLogger(__name__)

EXAMPLES = """  python -m benchmarks list directions
  python -m benchmarks edit e4e+pti photo.jpg --edit yaw=-15 --edit smile=+2 --out out
  python -m benchmarks edit e4e photo.jpg --edit pose=2sd --directions pose.pt --out out"""


def add_arguments(parser: Parser) -> None:
    invert.add_arguments(parser)
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


def run(options: argparse.Namespace) -> int:
    bench = invert.load(options)

    from benchmarks.engine.photograph_edits import load_edits, save_edited
    from metrics import registry as metrics_registry

    edits = load_edits(options.edit, options.directions, bench.generator)
    if reason := metrics_registry.missing("id_sface"):
        logger.warning("identity is left out: %s", reason)

    def save(photograph: Photograph) -> str:
        report = save_edited(photograph, edits, options.out, bench.generator, options.method)
        for entry in report["edits"]:
            if "measured" in entry and entry["measured"] is None:
                logger.warning("%s: %s cannot be read from its images", photograph.path, entry["direction"])
        return _line(report)

    return invert.each(options, bench, save)


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
