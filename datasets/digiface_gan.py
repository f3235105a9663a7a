"""The in-domain data set: held-out samples of the DCGAN that the training faces come from.

Only samples that pass the filter of the training faces belong to it, as the filter defines the domain. They are
detected and aligned by the full MTCNN cascade as in all other data sets; undetected faces are failures.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import torch
from PIL import Image

from datasets import alignment, building, dcgan, training_faces
from datasets.base import Manifest
from datasets.scope import TIGHT_FACES

VERSION = 1
BLOCK = 100  # samples per seed, fixed so that a larger set starts with the smaller one


def build(n: int = 500) -> Manifest:
    """The first `n` accepted samples, 64 px; id E0000-003: held-out seed 0, sample 3."""
    if n < 1:
        raise ValueError(f"n is {n}, expected at least 1")
    head = Manifest(
        name="digiface_gan", title="DigiFace-1M DCGAN, held-out draws", version=VERSION, recipe=alignment.RECIPE,
        resolution=64, licence="MIT (weights); DigiFace-1M is for research only", domain="in", root=Path(), records=(),
        scope=TIGHT_FACES,
    )  # fmt: skip
    identity = {"n": n, "filter": training_faces.VERSION, **building.asset_identity("dcgan_digiface")}
    return building.build(head, identity, partial(_candidates, n), n, building.aligned)


@torch.no_grad()
def _candidates(n: int) -> Iterator[building.Candidate]:
    network = dcgan.load_dcgan()
    accepted = 0
    for block in count():
        seed = training_faces.EVALUATION_SEED + block
        kept = [i for i, draw in enumerate(training_faces.draw_faces(seed, BLOCK, network)) if not draw.refused]
        faces = training_faces.to_uint8(network(dcgan.draw_z(seed, BLOCK)[:, :, None, None]))
        for i in kept[: n - accepted]:
            labels = {"seed": seed, "draw": i}
            yield building.Candidate(f"E{block:04d}-{i:03d}", partial(Image.fromarray, faces[i]), labels)
        accepted += len(kept)
        if accepted >= n:
            return
