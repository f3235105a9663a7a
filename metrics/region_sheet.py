"""A contact sheet of a parser's interest regions: `python -m metrics.region_sheet sheet.png [parser]`.

A row for each bundled data set, of evenly spaced images; everything outside the region is tinted, or the full image
where there is no region.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets import images, registry
from datasets.base import Manifest
from metrics.region import PARSER
from metrics.regions import RegionParser, load_parser

SETS = ("openpeople", "orl", "digiface_gan")
SCALE = 2
TINT, OPACITY = (1.0, -1.0, 0.25), 0.6


def overlay(batch: Tensor, masks: Tensor) -> Tensor:
    """Images [N, 3, H, W] in [-1, 1], tinted outside their masks [N, 1, H, W]."""
    tint = batch.new_tensor(TINT).view(1, 3, 1, 1)
    return batch + OPACITY * (1 - masks) * (tint - batch)


def row(manifest: Manifest, parser: RegionParser, columns: int) -> Tensor:
    """A row [3, H, W] of the sheet: images at SCALE times their size, white where a file is missing.

    Args:
        manifest: the data set.
        parser: of the region.
        columns: number of images.
    """
    side = SCALE * manifest.resolution
    tiles = torch.ones(columns, 3, side, side)
    chosen = [record for record in manifest.subset(columns).records if record.file]
    loaded = torch.stack([images.to_tensor(images.read_rgb(manifest.root / record.file)) for record in chosen])
    enlarged = F.interpolate(loaded, size=(side, side), mode="bicubic").clamp(-1, 1)
    tiles[: len(chosen)] = overlay(enlarged, parser(enlarged)[0])
    return tiles.permute(1, 2, 0, 3).flatten(2)


def sheet(parser: str = PARSER, columns: int = 8) -> Tensor:
    """[3, H, W] in [-1, 1]: the rows of SETS."""
    return torch.cat([row(registry.load(name), load_parser(parser), columns) for name in SETS], dim=1)


if __name__ == "__main__":
    images.save_png(images.to_image(sheet(sys.argv[2] if len(sys.argv) > 2 else PARSER)), Path(sys.argv[1]))
