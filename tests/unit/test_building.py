"""The machinery of data sets that are built once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from datasets import building
from datasets.base import Manifest


@pytest.mark.parametrize("workers", [1, 2])
def test_torch_has_one_thread_while_images_are_prepared(tmp_path, workers):
    """Landmarks that two threads computed moved some pixels, so that a set depended on the machine's cores."""
    threads = []

    def prepare(candidate: building.Candidate, resolution: int) -> Image.Image:
        threads.append(torch.get_num_threads())
        return candidate.read().resize((resolution, resolution))

    head = Manifest(name="squares", title="", version=1, recipe="", resolution=8, licence="", domain="out",
                    root=Path(), records=())  # fmt: skip
    candidates = [building.Candidate(name, lambda: Image.new("RGB", (16, 16))) for name in "abc"]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        building.build(head, {}, lambda: candidates, prepare=prepare, workers=workers, folder=tmp_path / "squares")
        assert threads == [1, 1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
