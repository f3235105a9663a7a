"""ORL, the AT&T database of faces: 400 grey photographs of 40 people, out of domain.

F. Samaria, A. Harter: Parameterisation of a Stochastic Model for Human Face Identification (WACV 1994). For
research; credit AT&T Laboratories Cambridge.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from datasets import assets, building, ffhq_alignment, images
from datasets.base import Manifest
from datasets.scope import ALIGNED_FACES

VERSION = 2
PEOPLE, PHOTOGRAPHS = 40, 10


def build() -> Manifest:
    """All 400 photographs, in FFHQ's frame at 64 px, wider than the photographs; ids s01-01 to s40-10."""
    head = Manifest(
        name="orl", title="ORL (AT&T) faces", version=VERSION, recipe=ffhq_alignment.RECIPE, resolution=64,
        licence="for research; credit AT&T Laboratories Cambridge", domain="out", root=Path(), records=(),
        scope=ALIGNED_FACES,
    )  # fmt: skip
    total, workers = PEOPLE * PHOTOGRAPHS, os.cpu_count() or 1
    return building.build(head, building.asset_identity("orl_faces"), _candidates, total, workers=workers)


def _candidates() -> Iterator[building.Candidate]:
    folder = assets.ensure("orl_faces", quiet=False)
    for person in range(1, PEOPLE + 1):
        for shot in range(1, PHOTOGRAPHS + 1):
            image = partial(images.read_rgb, folder / f"s{person}" / f"{shot}.pgm")
            yield building.Candidate(f"s{person:02d}-{shot:02d}", image, {"person": f"s{person:02d}"})
