"""The fast variant: its schedule, what it leaves as it is, and what a few steps reach beside the faithful ones."""

from __future__ import annotations

import pytest
import torch

from methods.fast_pivotal_tuning import warmed_cosine
from methods.features import perceptual
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import PipelineSpec, resolve_stage
from methods.tuning.tune import tunable


def test_the_rate_rises_by_a_line_and_falls_by_a_cosine() -> None:
    assert warmed_cosine(0.05, 0.1) == pytest.approx(0.5) and warmed_cosine(0.1, 0.1) == 1
    assert warmed_cosine(0.55, 0.1) == pytest.approx(0.5) and warmed_cosine(1, 0.1) == pytest.approx(0)
    assert warmed_cosine(0, 0) == 1


@pytest.mark.assets
def test_few_steps_get_further_than_as_many_faithful_ones() -> None:
    generator = load_generator("toy")
    image = generator.synthesis(generator.mapping(torch.ones(1, generator.z_dim))).clamp(-1, 1).roll(3, dims=3)
    few = {"steps": 12, "stop_lpips": 0.0, "locality": {"weight": 0.0}}
    errors = {}
    for name, settings in (("pivotal_tuning", few | {"lr": 3e-3}), ("fast_pivotal_tuning", few | {"lanes": 1})):
        stages = (
            resolve_stage("w_optimization", {"steps": 2, "features": "lpips_alex"}),
            resolve_stage(name, settings),
        )
        outcome = Pipeline(generator, PipelineSpec("x", "x", stages, ""), 0).predict_step(
            {"images": image, "ids": ["a"], "init": None}, 0
        )
        assert outcome.inversion is not None and outcome.inversion.weights[0]
        errors[name] = float(perceptual("lpips_alex")(outcome.inversion.image, image))
    assert errors["fast_pivotal_tuning"] < 0.9 * errors["pivotal_tuning"], errors


@pytest.mark.assets
@pytest.mark.parametrize("affine", [False, True])
def test_the_maps_to_styles_are_tuned_where_asked_for(affine: bool) -> None:
    generator = load_generator("toy")
    image = torch.zeros(1, 3, generator.resolution, generator.resolution)
    first = resolve_stage("w_optimization", {"steps": 1, "features": "lpips_alex", "lanes": 1}).build(generator, 0)
    stage = resolve_stage("fast_pivotal_tuning", {"steps": 2, "lanes": 1, "affine": affine}).build(generator, 0)
    found = stage.invert(image, ["a"], first.invert(image, ["a"])).weights[0]
    assert found is not None
    names = {name for name, _ in tunable(generator)}
    assert {name for name in names if name not in found} == {n for n in names if ".modulation." in n and not affine}
    own = dict(generator.named_parameters())
    assert all(not torch.equal(value, own[name]) for name, value in found.items())
