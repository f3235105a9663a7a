"""`edit`: invert a photograph and move it along directions, by as much as is asked for."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.cli.invert import Bench, Photograph, inverted, prepare
from benchmarks.engine.store import finite, write_atomically
from benchmarks.errors import ConfigError
from datasets.images import save_png, to_image, to_tensor
from methods.editing.directions import Direction, apply, find
from methods.editing.pictures import edited
from methods.editing.readers import read_direction
from methods.editing.reading import identities
from methods.editing.weights import load_directions
from methods.generators import Generator
from metrics import attributes
from metrics import registry as metrics_registry


@dataclass(frozen=True)
class Edit:
    """One `--edit`. asked: as it was written; strength: in standard deviations of W along the direction."""

    direction: Direction
    asked: str
    strength: float


def parse_edit(text: str, directions: dict[str, Direction]) -> Edit:
    """`smile=+2` in the unit of the direction's attribute, or `smile=+2sd` in strengths.

    Raises ConfigError that says what is wrong.
    """
    match = re.fullmatch(r"([^=]+)=([+-]?(?:\d+\.?\d*|\.\d+))(sd)?", text.replace("\u2212", "-"))
    if not match:
        raise ConfigError(f"--edit {text!r}: expected NAME=AMOUNT or NAME=AMOUNTsd, e.g. yaw=-15 or smile=+2sd")
    name, amount = match[1], float(match[2])
    try:
        direction = find(name, directions)
        return Edit(direction, text.partition("=")[2], amount if match[3] else direction.strength(amount))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"--edit {text!r}: {error.args[0]}") from error


def directions_of(source: Path | None, generator: Generator) -> dict[str, Direction]:
    """Directions by name: the generator's own, a file that was learned here, or one of InterFaceGAN (.pt, .npy)."""
    try:
        if source is None or source.suffix == ".safetensors":
            return load_directions(source, generator)
        direction = read_direction(source, generator)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    return {direction.name: direction}


def edit_photographs(
    method: str, images: list[Path], out: Path, suite_name: str, overrides: list[str], asked: list[str],
    source: Path | None = None,
) -> int:  # fmt: skip
    """Write OUT/<name>/{target,reconstruction,edited,edits}.png, latent.safetensors and edit.json for each photograph.

    edits.png: input, inversion, every edit alone, and all of them together where there are several. Returns 0, or 1
    when an image failed; a wrong method, setting or edit raises ConfigError.
    """
    bench = prepare(method, suite_name, overrides, out)
    directions = directions_of(source, bench.generator)
    edits = [parse_edit(text, directions) for text in asked]
    names = [edit.direction.name for edit in edits]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"--edit: {twice[0]!r} is asked for twice")
    failed = 0
    for found in inverted(bench, images, out):
        if found is None:
            failed += 1
            continue
        said = _edit(bench, found, edits)
        print(f"{found.folder}: {said}")
    return 1 if failed else 0


def _edit(bench: Bench, found: Photograph, edits: list[Edit]) -> str:
    """Write one photograph's files; returns a line about what came out."""
    whole = {edit.direction.name: edit.strength for edit in edits}
    singles = [{name: strength} for name, strength in whole.items()]
    directions = {edit.direction.name: edit.direction for edit in edits}
    pictures = edited(bench.generator, found.inversion, [*singles, whole], directions)
    target = to_tensor(found.target)[None]
    shown = torch.cat([target, to_tensor(to_image(found.inversion.image[0]))[None], pictures])
    save_png(to_image(pictures[-1]), found.folder / "edited.png")
    row = shown if len(edits) > 1 else shown[:-1]  # a single edit is the whole
    save_png(to_image(torch.cat(list(row), dim=2)), found.folder / "edits.png")
    latent = apply(found.inversion.latent, whole, directions)[0].contiguous()
    save_file({"latent": found.inversion.latent[0].contiguous(), "edited": latent}, found.folder / "latent.safetensors")
    report = _measured(found, edits, shown)
    write_atomically(
        found.folder / "edit.json",
        (json.dumps({"source": found.path.name, "method": bench.method} | report, indent=1) + "\n").encode(),
    )
    return _line(report)


def _measured(found: Photograph, edits: list[Edit], shown: Tensor) -> dict[str, Any]:
    """What predictors read: of each edit alone, and of all together; shown: input, inversion, the edits, the whole."""
    names = list(dict.fromkeys(edit.direction.attribute for edit in edits if edit.direction.attribute))
    values = attributes.predict(names, shown)
    report: dict[str, Any] = {"edits": []}
    for place, edit in enumerate(edits, start=2):
        entry: dict[str, Any] = {
            "direction": edit.direction.name,
            "asked": edit.asked,
            "unit": edit.direction.unit,
            "strength": round(edit.strength, 6),
        }
        if name := edit.direction.attribute:
            change = values[name] - values[name][1]
            entry |= {
                "inversion": finite(float(values[name][1])),
                "measured": finite(float(change[place])),
                "measured_together": finite(float(change[-1])),
            }
            if not math.isfinite(change[place]):
                print(f"{found.path}: {name} cannot be read from the inversion or the edited picture", file=sys.stderr)
        report["edits"].append(entry)
    if reason := metrics_registry.missing("id_sface"):
        print(f"{found.path}: identity is left out: {reason}", file=sys.stderr)
    else:
        report["id_sface"] = {
            "inversion": finite(float(identities(shown[1:2], shown[:1])[0])),
            "edited": finite(float(identities(shown[-1:], shown[:1])[0])),
        }
    return report


def _line(report: dict[str, Any]) -> str:
    parts = []
    for entry in report["edits"]:
        measured = entry.get("measured")
        told = "" if measured is None else f" (measured {measured:+.3g} {entry['unit']})"
        parts.append(f"{entry['direction']} {entry['asked']}{told}")
    if identity := report.get("id_sface"):
        parts.append(f"id_sface {identity['inversion']:.3f} inverted, {identity['edited']:.3f} edited")
    return ", ".join(parts)
