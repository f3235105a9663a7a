"""The fast variant: its schedule, its known targets, and what a few steps reach beside the faithful ones."""

from __future__ import annotations

import pytest
import torch

from methods.fast_pivotal_tuning import KnownTargets, warmed_cosine
from methods.features import perceptual
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import PipelineSpec, resolve_stage
from metrics.pixel import squared_error


def test_the_rate_rises_by_a_line_and_falls_by_a_cosine() -> None:
    assert warmed_cosine(0.05, 0.1) == pytest.approx(0.5) and warmed_cosine(0.1, 0.1) == 1
    assert warmed_cosine(0.55, 0.1) == pytest.approx(0.5) and warmed_cosine(1, 0.1) == pytest.approx(0)
    assert warmed_cosine(0, 0) == 1


@pytest.mark.assets
def test_known_targets_change_no_distance() -> None:
    stream = torch.Generator().manual_seed(0)
    images, targets, other = (torch.rand(2, 3, 64, 64, generator=stream) * 2 - 1 for _ in range(3))
    network = perceptual("lpips_alex")
    known = KnownTargets(network, targets)
    for wanted in (targets, targets[1:], torch.cat([targets[1:], other]), other):
        shown = torch.cat([images, images])[: len(wanted)]
        torch.testing.assert_close(known(shown, wanted), network(shown, wanted), rtol=1e-4, atol=1e-6)


@pytest.mark.assets
def test_few_steps_get_further_than_as_many_faithful_ones() -> None:
    generator = load_generator("toy")
    image = generator.synthesis(generator.mapping(torch.ones(1, generator.z_dim))).clamp(-1, 1).roll(3, dims=3)
    few = {"steps": 12, "stop_lpips": 0.0}
    errors = {}
    for name, settings in (("pivotal_tuning", few | {"lr": 3e-3}), ("fast_pivotal_tuning", few)):
        stages = (
            resolve_stage("w_optimization", {"steps": 2, "features": "lpips_alex"}),
            resolve_stage(name, settings),
        )
        outcome = Pipeline(generator, PipelineSpec("x", "x", stages, ""), 0).predict_step(
            {"images": image, "ids": ["a"], "init": None}, 0
        )
        assert outcome.inversion is not None and outcome.inversion.weights[0]
        errors[name] = float(squared_error(outcome.inversion.image, image))
    assert errors["fast_pivotal_tuning"] < 0.9 * errors["pivotal_tuning"], errors
