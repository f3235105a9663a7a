"""A contact sheet of the occluded set: `python -m datasets.occluder_sheet sheet.png`.

A row for each object, by size, and one for natural occlusions.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from datasets import images, occluders, registry
from datasets.base import Manifest, Record

SCALE, GAP, COLUMNS = 2, 4, 6


def contact_sheet(manifest: Manifest) -> Image.Image:
    """At most COLUMNS images per row, SCALE times as large, on white."""
    rows = [row[:COLUMNS] for row in _rows(manifest) if row]
    side = manifest.resolution * SCALE
    sheet = Image.new("RGB", (max(map(len, rows)) * (side + GAP) - GAP, len(rows) * (side + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        for x, record in enumerate(row):
            tile = images.read_rgb(manifest.root / record.file).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(tile, (x * (side + GAP), y * (side + GAP)))
    return sheet


def _rows(manifest: Manifest) -> list[list[Record]]:
    shown = [record for record in manifest.records if record.file]
    sizes = list(occluders.SIZES)
    rows = []
    for name in occluders.OBJECTS:
        own = [record for record in shown if record.labels.get("object") == name]
        rows.append(sorted(own, key=lambda record: sizes.index(str(record.labels["size"]))))
    return [*rows, [record for record in shown if record.labels.get("object") == "natural"]]


if __name__ == "__main__":
    images.save_png(contact_sheet(registry.load("occluded")), Path(sys.argv[1]))
