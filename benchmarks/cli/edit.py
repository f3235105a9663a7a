"""Invert photographs and move them along edit directions.

Writes DIR/NAME/{target,reconstruction,edited,edits}.png, latent.safetensors and edit.json for each photograph.
An amount is in the unit of the direction's attribute (yaw=-15: degrees), or in standard deviations of the
generator's codes (yaw=-2sd).
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from benchmarks.cli import invert
from benchmarks.cli.parsing import Parser

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
    from tqdm.auto import tqdm

    from benchmarks.cli import output
    from benchmarks.engine.machine import pick_device
    from benchmarks.engine.photograph_edits import load_edits, save_edited
    from benchmarks.engine.photographs import inverted, prepare
    from metrics import registry as metrics_registry

    bench = prepare(options.method, options.suite, options.set, pick_device(options.device))
    edits = load_edits(options.edit, options.directions, bench.generator)
    output.prepare(options.out)
    if reason := metrics_registry.missing("id_sface"):
        logger.warning("identity is left out: %s", reason)
    failed = 0
    for path, result in tqdm(inverted(bench, options.images), total=len(options.images), unit="image", disable=None):
        if isinstance(result, str):
            failed += 1
            logger.error("%s: %s", path, result)
            continue
        report = save_edited(result, edits, options.out, bench.generator, options.method)
        for entry in report["edits"]:
            if "measured" in entry and entry["measured"] is None:
                logger.warning("%s: %s cannot be read from the inversion or the edited image", path, entry["direction"])
        print(f"{options.out / result.name}: {_line(report)}")
    return 1 if failed else 0


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
