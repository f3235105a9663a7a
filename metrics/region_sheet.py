"""Overlays of a parser's interest regions: `python -m metrics.region_sheet sheet.png [parser]`.

A row for each embedded set, of images spread evenly over it; what lies outside the region is tinted, and a whole
picture where no region is found.
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


def overlay(pictures: Tensor, masks: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] in [-1, 1] with what their masks [N, 1, H, W] leave out tinted."""
    tint = pictures.new_tensor(TINT).view(1, 3, 1, 1)
    return pictures + OPACITY * (1 - masks) * (tint - pictures)


def row(manifest: Manifest, parser: RegionParser, columns: int) -> Tensor:
    """[3, H, W]: images of the set at SCALE times their size, side by side; white where one could not be had."""
    side = SCALE * manifest.resolution
    tiles = torch.ones(columns, 3, side, side)
    chosen = [record for record in manifest.subset(columns).records if record.file]
    loaded = torch.stack([images.to_tensor(images.read_rgb(manifest.root / record.file)) for record in chosen])
    pictures = F.interpolate(loaded, size=(side, side), mode="bicubic").clamp(-1, 1)
    tiles[: len(chosen)] = overlay(pictures, parser(pictures)[0])
    return tiles.permute(1, 2, 0, 3).flatten(2)


def sheet(parser: str = PARSER, columns: int = 8) -> Tensor:
    """[3, H, W] in [-1, 1]: the rows of SETS."""
    return torch.cat([row(registry.load(name), load_parser(parser), columns) for name in SETS], dim=1)


if __name__ == "__main__":
    picture = sheet(sys.argv[2]) if len(sys.argv) > 2 else sheet()
    images.save_png(images.to_image(picture), Path(sys.argv[1]))
