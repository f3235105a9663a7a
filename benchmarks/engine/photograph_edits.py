"""Inverted photographs moved along edit directions, by amounts in an attribute's unit or in standard deviations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.engine.photographs import Photograph
from benchmarks.engine.store import finite
from benchmarks.errors import ConfigError
from datasets.images import save_png, to_image
from datasets.scope import Scope
from methods.editing.directions import Direction, apply, find
from methods.editing.files import Directions, open_directions
from methods.editing.images import edited
from methods.editing.reading import identities
from methods.generators import Generator
from metrics import attributes
from metrics import registry as metrics_registry

MOST_STRENGTH = 100  # far outside of what a generator has seen


@dataclass(frozen=True)
class Edit:
    """One `--edit`. text: the amount as it was written; strength: in standard deviations of W along the direction."""

    direction: Direction
    text: str
    strength: float


def load_edits(texts: list[str], source: Path | None, generator: Generator, domain: str = "") -> list[Edit]:
    """Edits from texts such as `smile=+2` (in the unit of the direction's attribute) or `smile=+2sd` (in strengths).

    Args:
        texts: one for each edit.
        source: file of directions that were learned here, or of InterFaceGAN (.pt, .npy); None for the generator's own.
        generator: the generator whose codes are moved.
        domain: what its images show, where that is not what its file declares.

    Raises:
        ConfigError: a text, a direction or the file is wrong; the message says what is expected.
    """
    try:
        directions = open_directions(source, generator)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error
    edits = [_edit(text, directions) for text in texts]
    for edit in edits:
        known = edit.direction.attribute
        if known and (reason := attributes.undefined(known, domain or generator.scope.domain)):
            raise ConfigError(f"--edit {edit.direction.name}={edit.text}: attribute {known!r} is {reason}")
    names = [edit.direction.name for edit in edits]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"--edit: {repeated[0]!r} is asked for twice")
    return edits


def _edit(text: str, directions: Directions) -> Edit:
    match = re.fullmatch(r"([^=]+)=([+-]?(?:\d+\.?\d*|\.\d+))(sd)?", text.replace("\u2212", "-"))
    if not match:
        raise ConfigError(f"--edit {text!r}: expected NAME=AMOUNT or NAME=AMOUNTsd, e.g. yaw=-15 or smile=+2sd")
    name, amount = match[1], float(match[2])
    try:
        direction = find(name, directions)
        strength = amount if match[3] else direction.strength(amount)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"--edit {text!r}: {error.args[0]}") from error
    if abs(strength) > MOST_STRENGTH:
        raise ConfigError(
            f"--edit {text[:40]!r}: {strength:.3g} standard deviations, at most {MOST_STRENGTH} are taken"
        )
    return Edit(direction, text.partition("=")[2], strength)


def identity_missing(scope: Scope) -> str:
    """Why images of a scope have no identity; "" where they have."""
    info = metrics_registry.find("id_sface").info
    return scope.excluded_by((), info.domains) or metrics_registry.missing("id_sface") or ""


def save_edited(
    photograph: Photograph, edits: list[Edit], out: Path, generator: Generator, keep: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the photograph's files and OUT/NAME/{edited,edits}.png, edit.json; returns what edit.json holds.

    edits.png: the target, the inversion, every edit alone, and all of them together where there are several.
    """
    strengths = {edit.direction.name: edit.strength for edit in edits}
    directions = {edit.direction.name: edit.direction for edit in edits}
    singles = [{name: strength} for name, strength in strengths.items()]
    images = edited(generator, photograph.inversion, [*singles, strengths], directions)
    reconstruction, target = photograph.images()
    shown = torch.cat([target[None], reconstruction[None], images])
    report = _read(edits, shown, Scope(photograph.facts.get("frame", ""), photograph.facts.get("domain", "")))
    latent = apply(photograph.inversion.latent, strengths, directions)[0]
    folder = photograph.save(out, generator, {"edit.json": report}, keep, edited=latent)
    save_png(to_image(images[-1]), folder / "edited.png")
    row = shown if len(edits) > 1 else shown[:-1]  # a single edit is all of them
    save_png(to_image(torch.cat(list(row), dim=2)), folder / "edits.png")
    return report


def _read(edits: list[Edit], shown: Tensor, scope: Scope) -> dict[str, Any]:
    """What predictors read in [target, inversion, each edit alone, all edits together], [2 + E + 1, 3, R, R]."""
    names = list(dict.fromkeys(edit.direction.attribute for edit in edits if edit.direction.attribute))
    values = attributes.predict(names, shown, scope.frame)
    report: dict[str, Any] = {"edits": []}
    for place, edit in enumerate(edits, start=2):
        entry: dict[str, Any] = {
            "direction": edit.direction.name,
            "asked": edit.text,
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
        report["edits"].append(entry)
    if not identity_missing(scope):
        report["id_sface"] = {
            "inversion": finite(float(identities(shown[1:2], shown[:1])[0])),
            "edited": finite(float(identities(shown[-1:], shown[:1])[0])),
        }
    return report
