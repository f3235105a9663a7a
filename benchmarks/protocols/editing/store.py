"""Readings and edited images of a stage run on disk.

    DIR/edits/<key>/rows-<worker>.jsonl          one line an image: all readings, append-only, one file a process
    DIR/edits/<key>/<image>.png                  its edited images side by side
    DIR/edits/<key>/<image>.interpolation.png    the interpolation to the next edited image, and their mixture

A row has a part each for the edits, the interpolation and, on some images, the re-inversion: readings, or the status
and the reason why there are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.engine.store import JsonRow, RowFiles, finite, read_lines
from datasets.images import read_rgb, to_image, to_tensor
from metrics.editing import Edits, Reading

EDITS, INTERPOLATION, REINVERSION = "edits", "interpolation", "reinversion"
Part = dict[str, Any]


class EditStore:
    """The readings and edited images of one stage run."""

    def __init__(self, root: Path, key: str):
        self.folder = root / "edits" / key
        self.names = root / "work" / "rows" / f"edits-{key}"

    def row_files(self) -> RowFiles:
        return RowFiles(self.folder, self.names)

    def rows(self, digest: str) -> dict[str, JsonRow]:
        """The newest row of every image under these directions. made counts up by image: clocks jump."""
        latest: dict[str, JsonRow] = {}
        for row in read_lines(self.row_files().paths()):
            if row.get("digest") == digest and row["made"] >= latest.get(row["image"], row)["made"]:
                latest[row["image"]] = row
        return latest

    def sheet(self, image: str) -> Path:
        return self.folder / f"{image}.png"

    def interpolation(self, image: str) -> Path:
        return self.folder / f"{image}.interpolation.png"


@dataclass(frozen=True)
class Task:
    """One image of one stage run that is to be edited.

    Args:
        image: its id.
        other: the next edited image, to which the interpolation leads.
        reinvert: whether an edited image is inverted again.
        stamps: of the stored images of both.
        made: how many rows of the image there will be.
        digest: of everything else that readings depend on.
    """

    image: str
    other: str
    reinvert: bool
    stamps: list[int]
    made: int
    digest: str

    def done(self, row: JsonRow | None) -> bool:
        """Whether a row has all of it."""
        if row is None or (row["digest"], row["stamps"]) != (self.digest, self.stamps):
            return False
        return not self.reinvert or REINVERSION in row

    def row(self) -> JsonRow:
        """The beginning of its row."""
        return {"image": self.image, "stamps": self.stamps, "digest": self.digest, "made": self.made}


def without(status: str, reason: str) -> Part:
    """The part of a row that has no readings."""
    return {"status": status, "reason": reason}


def to_row(edits: Edits) -> Part:
    """Readings as plain data; `from_row` is the inverse."""

    def plain(reading: Reading) -> JsonRow:
        values = {name: finite(value) for name, value in reading.values.items()}
        numbers = {"identity": reading.identity, "outside": reading.outside, "kept": reading.kept}
        still = {"still": {name: finite(value) for name, value in reading.still.items()}} if reading.still else {}
        return {"values": values} | {name: finite(value) for name, value in numbers.items()} | still

    return {
        "target": {name: finite(value) for name, value in edits.target_values.items()},
        "inversion": plain(edits.inversion),
        "single": [[name, strength, plain(each)] for (name, strength), each in edits.single.items()],
        "sequence": [[strength, plain(each)] for strength, each in edits.sequence.items()],
    }


def from_row(part: Part) -> Edits:
    def number(value: float | None) -> float:
        return np.nan if value is None else value

    def reading(row: JsonRow) -> Reading:
        values = {name: number(value) for name, value in row["values"].items()}
        still = {name: number(value) for name, value in row.get("still", {}).items()}
        return Reading(number(row["identity"]), values, number(row["outside"]), number(row["kept"]), still)

    return Edits(
        target_values={name: number(value) for name, value in part["target"].items()},
        inversion=reading(part["inversion"]),
        single={(name, strength): reading(each) for name, strength, each in part["single"]},
        sequence={strength: reading(each) for strength, each in part["sequence"]},
    )


def side_by_side(images: Tensor) -> Image.Image:
    """Images [K, 3, R, R] in a row."""
    return to_image(torch.cat(list(images), dim=2).cpu())


def cut(sheet: Path) -> Tensor:
    """The images [K, 3, R, R] of a row of squares."""
    full = to_tensor(read_rgb(sheet))
    return torch.stack(full.split(full.shape[1], dim=2))
