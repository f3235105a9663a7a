"""A stage that goes on from another's generator weights finds them in the store, whoever left them and when."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from benchmarks.engine.config import load_suite
from benchmarks.engine.plan import expand
from benchmarks.engine.run import Run
from benchmarks.engine.runner import invert
from benchmarks.engine.store import InversionStore
from datasets.images import read_rgb, to_image, to_tensor
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import load_pipeline
from tests.integration.tiny_suite import IMAGES, suite, world

__all__ = ["suite", "world"]  # fixtures
pytestmark = pytest.mark.assets
TOYS = ["stage_settings.hyperstyle_w_encoder.weights=toy", "stage_settings.hyperstyle.weights=toy"]


def kept(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as handle:
        return [key for key in handle.keys() if key.startswith("weights.")]  # noqa: SIM118


def test_tuning_goes_on_from_changed_weights_even_when_they_were_not_kept(suite: str, tmp_path: Path) -> None:
    alone, both = ["methods=[hyperstyle]", *TOYS], ["methods=[hyperstyle,hyperstyle+pti]", *TOYS]
    assert invert(Run(expand(load_suite(suite, alone)), tmp_path)) == 2 * IMAGES
    plan = expand(load_suite(suite, both))
    dataset = next(iter(plan.manifests))
    first, last = (InversionStore(tmp_path, plan.leaf[name, dataset, 0]) for name in ("hyperstyle", "hyperstyle+pti"))
    assert not kept(first.latent("p0")) and not first.rows()["p0"].weights_kept
    # Something goes on from it now, so that it has to be done again; the W encoder before it has not.
    assert invert(Run(plan, tmp_path)) == 2 * IMAGES
    assert len(kept(first.latent("p0"))) == 9 and not kept(last.latent("p0"))
    assert {image: row.attempt for image, row in first.rows().items()} == {f"p{n}": 2 for n in range(IMAGES)}
    # What comes out is what the pipeline gives without a store.
    settings = {"pivotal_tuning": {"steps": 1}, "hyperstyle": {"weights": "toy"}}
    spec = load_pipeline("hyperstyle+pti", settings | {"hyperstyle_w_encoder": {"weights": "toy"}})
    manifest = plan.manifests[dataset]
    target = to_tensor(read_rgb(manifest.root / manifest.by_id["p0"].file))[None]
    torch.set_num_threads(1)
    found = Pipeline(load_generator("toy"), spec).invert(target, [f"{dataset}/p0"])
    stored = to_tensor(read_rgb(last.picture("p0")))
    assert (to_tensor(to_image(found.image[0])) - stored).abs().max() <= 2 / 255
    assert invert(Run(plan, tmp_path)) == 0
