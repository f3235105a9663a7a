"""`python -m metrics.celeba_index`: measure the CelebA photographs and write `datasets/manifests/celeba.csv`.

Split: photographs of one person according to SFace (cosine of at least `SAME_PERSON`, transitively) form a group;
groups are drawn in a fixed random order until the test split has `TEST` photographs. Occlusion labels were assigned by
hand and are copied from the existing file.
"""

from __future__ import annotations

import csv

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from tqdm.auto import tqdm

from datasets import alignment, assets, images
from datasets.celeba import ASSET, INDEX
from inversion_bench.files import atomic
from metrics.networks.sface import load_sface

TEST = 200
# One pair of different people in a thousand exceeds OpenCV's threshold for SFace's cosine, 0.363, which chains 701 of
# these photographs into one group; at 0.45 the largest of 887 groups has 8, at 0.5 there are 933 groups.
SAME_PERSON = 0.45
COLUMNS = ["id", "split", "person", "occlusion", "probability", *(f"{axis}{i}" for i in range(5) for axis in "xy")]


@torch.no_grad()
def main() -> None:
    """Detect, embed, group, split, write."""
    occlusions = {}
    if INDEX.exists():
        with INDEX.open(encoding="utf-8", newline="") as handle:
            occlusions = {row["id"]: row["occlusion"] for row in csv.DictReader(handle)}
    network = load_sface().eval()
    rows, vectors = [], []
    for path in tqdm(sorted(assets.ensure(ASSET, quiet=False).glob("*.jpg")), desc="measuring", mininterval=5):
        row = dict.fromkeys(COLUMNS, "") | {"id": path.stem, "occlusion": occlusions.get(path.stem, "")}
        photograph = images.read_rgb(path)
        try:
            face = alignment.find_face(photograph)
        except alignment.NoFaceError:
            vectors.append(torch.zeros(128))
        else:
            row["probability"] = f"{face.probability:.4f}"
            row |= {f"{axis}{i}": f"{face.points[i, k]:.3f}" for i in range(5) for k, axis in enumerate("xy")}
            crop = images.to_tensor(alignment.template_crop(photograph, face))
            vectors.append(network.embed(crop[None])[0])
        rows.append(row)
    cosines = torch.stack(vectors) @ torch.stack(vectors).T
    count, groups = connected_components((cosines >= SAME_PERSON).numpy(), directed=False)
    test: set[int] = set()
    for group in np.random.default_rng(0).permutation(count):
        members = np.flatnonzero(groups == group)
        if len(test) + len(members) <= TEST and all(rows[i]["probability"] for i in members):
            test.update(members.tolist())
    for i, row in enumerate(rows):
        row["person"] = f"g{groups[i]:03d}"
        row["split"] = "test" if i in test else "train"
    with atomic(INDEX) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} photographs, {count} groups, {len(test)} in the test split: {INDEX}")


if __name__ == "__main__":
    main()
