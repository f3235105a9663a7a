"""SFace tells the people of ORL apart in FFHQ's frame at 64 px."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from datasets import images, registry
from metrics.identity import embed


@pytest.mark.assets
@pytest.mark.slow
def test_same_person_pairs_have_the_higher_similarity() -> None:
    manifest = registry.load("orl")
    records = [record for record in manifest.records if not record.failure]
    assert len(records) == 400
    pictures = torch.stack([images.to_tensor(images.read_rgb(manifest.root / record.file)) for record in records])
    with torch.inference_mode():
        parts = [embed(batch, "sface") for batch in pictures.split(25)]  # cropped at each image's landmarks
    embeddings = torch.cat(parts).double().numpy()
    people = np.array([record.labels["person"] for record in records])
    rows, columns = np.triu_indices(len(people), 1)
    same, cosines = people[rows] == people[columns], (embeddings @ embeddings.T)[rows, columns]
    assert (len(same), int(same.sum())) == (79_800, 1_800)
    auc, alike, different = roc_auc_score(same, cosines), cosines[same].mean(), cosines[~same].mean()
    print(f"AUC {auc:.6f}, mean cosine {alike:.3f} (same person), {different:.3f} (different people)")
    assert auc >= 0.994  # 0.9999 in the tight frame, where a face has twice the pixels
    assert alike > 0.7 and different < 0.15
