"""openpeople: ten photorealistic synthetic people in 21 images each, out of domain.

Of the character sheet, only the front view is used: the frame needs two eyes, and MTCNN places both on one in profile
views (their distance is 0.3 to 0.6 of that from eyes to mouth, compared with 0.9 for frontal faces).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import assets, building, ffhq_alignment, images
from datasets.base import Label, Manifest
from datasets.scope import ALIGNED_FACES

VERSION = 2
PEOPLE = 10
SINGLE = ("studio_portrait", "amateur_selfie", "studio_posture", "amateur_posture")
# Labels of the cells of an emotions sheet, by rows.
EXPRESSIONS = (
    ("neutral", "happy", "sad", "angry"),
    ("surprised", "disgusted", "scared", "confused"),
    ("smug", "flirty", "thoughtful", "pensive"),
    ("exhausted", "shocked", "playful", "determined"),
)
# People with a hand in the crop, by expression; labelled by hand.
OCCLUDED = {
    "thoughtful": {"P001", "P002", "P003", "P004", "P005", "P006", "P008", "P009", "P010"},
    "exhausted": {"P002"},
    "shocked": {"P003", "P010"},
}
# The front view on the character sheet, as fractions of its width and height.
FRONT_VIEW = (0.0, 0.05, 0.25, 0.38)


def build() -> Manifest:
    """210 crops in FFHQ's frame, 64 px; ids such as P001-studio_portrait, P001-emotion-03-sad, P001-sheet-front."""
    head = Manifest(
        name="openpeople", title="openpeople, synthetic people", version=VERSION, recipe=ffhq_alignment.RECIPE,
        resolution=64, licence="MIT", domain="out", root=Path(), records=(),
        scope=ALIGNED_FACES,
    )  # fmt: skip
    total = PEOPLE * (len(SINGLE) + 1 + sum(map(len, EXPRESSIONS)))
    return building.build(head, building.asset_identity("openpeople"), _candidates, total, workers=os.cpu_count() or 1)


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
    folder_of_images = folder / "assets"
    for kind in SINGLE:
        read = partial(images.read_rgb, folder_of_images / f"{kind}.jpg")
        yield building.Candidate(f"{person}-{kind}", read, {**common, "kind": kind})

    # A sheet is read once, as its cells are consecutive.
    sheet = cache(partial(images.read_rgb, folder_of_images / "character_sheet.jpg"))
    front = partial(_cell, sheet, FRONT_VIEW)
    yield building.Candidate(f"{person}-sheet-front", front, {**common, "kind": "character_sheet"})

    sheet = cache(partial(images.read_rgb, folder_of_images / "emotions_sheet.jpg"))
    for row, expressions in enumerate(EXPRESSIONS):
        for column, expression in enumerate(expressions):
            # Some sheets have a title, so a frame may extend slightly below its quarter.
            cell = partial(_cell, sheet, (column / 4, row / 4, (column + 1) / 4, (row + 1) / 4 + 0.015))
            labels = {
                **common,
                "kind": "emotions_sheet",
                "expression": expression,
                "occluded": int(person in OCCLUDED.get(expression, ())),
            }
            yield building.Candidate(f"{person}-emotion-{4 * row + column + 1:02d}-{expression}", cell, labels)


def _cell(sheet: Callable[[], Image.Image], box: tuple[float, float, float, float]) -> Image.Image:
    """The cell at `box` (left, top, right, bottom as fractions of the sheet), cropped inside its white frame."""
    image = sheet()
    left, top, right, bottom = (int(part * side) for part, side in zip(box, image.size * 2, strict=True))
    part = image.crop((left, top, right, bottom))
    white = np.asarray(part.convert("L")) > 225
    x0, x1 = _between_lines(white.mean(axis=0) > 0.55)
    y0, y1 = _between_lines(white.mean(axis=1) > 0.75)
    return part.crop((x0, y0, x1, y1))


def _between_lines(line: np.ndarray) -> tuple[int, int]:
    """The range between the last flag in the first 45 % and the first flag in the last 45 %."""
    size, border = len(line), int(0.45 * len(line))
    before, after = np.flatnonzero(line[:border]), np.flatnonzero(line[size - border :])
    # The frame's inner edge is antialiased over about two pixels.
    return (int(before[-1]) + 3 if len(before) else 0), (size - border + int(after[0]) - 2 if len(after) else size)
