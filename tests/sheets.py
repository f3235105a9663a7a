"""Contact sheets of docs/metrics.md: `python -m tests.sheets regions|occluders FILE.png`.

regions: a row for each bundled data set, of evenly spaced images; everything outside the interest region is tinted, or
the full image where there is no region. occluders: a row of the occluded set for each object, by size, and one for
natural occlusions.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets import images, occluders, registry
from datasets.base import Manifest, Record
from metrics.region import PARSER
from metrics.regions import RegionParser, load_parser

SETS = ("openpeople", "orl")
SCALE, COLUMNS = 2, 8
TINT, OPACITY = (1.0, -1.0, 0.25), 0.6


def row(manifest: Manifest, records: list[Record], parser: RegionParser | None = None) -> Tensor:
    """Images side by side [3, H, W], SCALE times as large, white up to COLUMNS; tinted outside a parser's region."""
    side = SCALE * manifest.resolution
    tiles = torch.ones(COLUMNS, 3, side, side)
    shown = [record for record in records if record.file][:COLUMNS]
    loaded = torch.stack([images.to_tensor(images.read_rgb(manifest.root / record.file)) for record in shown])
    enlarged = F.interpolate(loaded, size=(side, side), mode="bicubic").clamp(-1, 1)
    if parser:
        outside = 1 - parser(enlarged)[0]
        enlarged = enlarged + OPACITY * outside * (enlarged.new_tensor(TINT).view(1, 3, 1, 1) - enlarged)
    tiles[: len(shown)] = enlarged
    return tiles.permute(1, 2, 0, 3).flatten(2)


def regions() -> Tensor:
    """[3, H, W] in [-1, 1]: the rows of SETS."""
    sets = (registry.load(name).subset(COLUMNS) for name in SETS)
    return torch.cat([row(manifest, list(manifest.records), load_parser(PARSER)) for manifest in sets], dim=1)


def occluded(manifest: Manifest) -> Tensor:
    """[3, H, W] in [-1, 1]: a row for each object and one for natural occlusions, where there are any."""
    sizes, rows = list(occluders.SIZES), []
    for name in (*occluders.OBJECTS, "natural"):
        own = [record for record in manifest.records if record.file and record.labels.get("object") == name]
        own.sort(key=lambda record: sizes.index(str(record.labels.get("size", sizes[0]))))
        if own:
            rows.append(row(manifest, own))
    return torch.cat(rows, dim=1)


if __name__ == "__main__":
    sheet = regions() if sys.argv[1] == "regions" else occluded(registry.load("occluded"))
    images.save_png(images.to_image(sheet), Path(sys.argv[2]))
