"""openpeople: ten photorealistic synthetic people in 21 pictures each, out of domain.

The character sheet's front view alone is taken: the frame needs two eyes, and on the profile views MTCNN puts both
on one (their distance is 0.3 to 0.6 of that from eyes to mouth, against 0.9 on frontal faces).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import alignment, assets, building, images
from datasets.base import Label, Manifest

VERSION = 1
PEOPLE = 10
SINGLE = ("studio_portrait", "amateur_selfie", "studio_posture", "amateur_posture")
# The labels printed below the cells of every emotions sheet, row by row.
EXPRESSIONS = (
    ("neutral", "happy", "sad", "angry"),
    ("surprised", "disgusted", "scared", "confused"),
    ("smug", "flirty", "thoughtful", "pensive"),
    ("exhausted", "shocked", "playful", "determined"),
)
# People with a hand in the crop, by expression; seen by eye.
OCCLUDED = {
    "thoughtful": {"P001", "P002", "P003", "P004", "P005", "P006", "P008", "P009", "P010"},
    "exhausted": {"P002"},
    "shocked": {"P003", "P010"},
}
# The front view on the character sheet, as parts of its width and height.
FRONT_VIEW = (0.0, 0.05, 0.25, 0.38)


def build() -> Manifest:
    """210 crops, 64 px; ids such as P001-studio_portrait, P001-emotion-03-sad, P001-sheet-front."""
    head = Manifest(
        name="openpeople",
        title="openpeople, synthetic people",
        version=VERSION,
        recipe=alignment.RECIPE,
        resolution=64,
        licence="MIT",
        domain="out",
        root=Path(),
        records=(),
    )
    total = PEOPLE * (len(SINGLE) + 1 + sum(map(len, EXPRESSIONS)))
    return building.build(head, building.asset_identity("openpeople"), _candidates, total)


def _candidates() -> Iterator[building.Candidate]:
    root = assets.ensure("openpeople", quiet=False)
    for number in range(1, PEOPLE + 1):
        yield from _person(root / f"P{number:03d}")


def _person(folder: Path) -> Iterator[building.Candidate]:
    person = folder.name
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    about = metadata["character_details"]["demographics"]
    common: dict[str, Label] = {
        "person": person,
        "sex": about["sex"],
        "age_range": about["age_range"],
        "occluded": 0,
    }
    pictures = folder / "assets"
    for kind in SINGLE:
        read = partial(images.read_rgb, pictures / f"{kind}.jpg")
        yield building.Candidate(f"{person}-{kind}", read, {**common, "kind": kind})

    # One read for a sheet's cells: they come one after the other.
    sheet = cache(partial(images.read_rgb, pictures / "character_sheet.jpg"))
    front = partial(_cell, sheet, FRONT_VIEW)
    yield building.Candidate(f"{person}-sheet-front", front, {**common, "kind": "character_sheet"})

    sheet = cache(partial(images.read_rgb, pictures / "emotions_sheet.jpg"))
    for row, expressions in enumerate(EXPRESSIONS):
        for column, expression in enumerate(expressions):
            # Some sheets have a title, so a frame may reach a little below its quarter.
            cell = partial(_cell, sheet, (column / 4, row / 4, (column + 1) / 4, (row + 1) / 4 + 0.015))
            labels = {
                **common,
                "kind": "emotions_sheet",
                "expression": expression,
                "occluded": int(person in OCCLUDED.get(expression, ())),
            }
            yield building.Candidate(f"{person}-emotion-{4 * row + column + 1:02d}-{expression}", cell, labels)


def _cell(sheet: Callable[[], Image.Image], box: tuple[float, float, float, float]) -> Image.Image:
    """The part `box` (left, top, right, bottom as parts of the sheet) inside its white frame, without the line."""
    picture = sheet()
    left, top, right, bottom = (int(part * side) for part, side in zip(box, picture.size * 2, strict=True))
    part = picture.crop((left, top, right, bottom))
    white = np.asarray(part.convert("L")) > 225
    x0, x1 = _between_lines(white.mean(axis=0) > 0.55)
    y0, y1 = _between_lines(white.mean(axis=1) > 0.75)
    return part.crop((x0, y0, x1, y1))


def _between_lines(line: np.ndarray) -> tuple[int, int]:
    """First and last + 1 position between the lines in the first and in the last 45 % of a flag per position."""
    size, border = len(line), int(0.45 * len(line))
    before, after = np.flatnonzero(line[:border]), np.flatnonzero(line[size - border :])
    # The frame's inner edge is antialiased over about two pixels.
    return (int(before[-1]) + 3 if len(before) else 0), (size - border + int(after[0]) - 2 if len(after) else size)
