"""The fast variant: its schedule, what it leaves as it is, and what a few steps reach beside the faithful ones."""

from __future__ import annotations

import pytest
import torch

from methods.fast_pivotal_tuning import warmed_cosine
from methods.features import perceptual
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import PipelineSpec, resolve_stage
from methods.tuning.orthogonal import OrthogonalAdam, orthogonal
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


def test_orthogonal_rows_are_near_orthonormal_and_zeros_stay() -> None:
    stream = torch.Generator().manual_seed(1)
    stack = torch.cat([torch.randn(2, 6, 40, generator=stream) * 1e-6, torch.zeros(1, 6, 40)])
    found = orthogonal(stack)
    assert bool((found[2] == 0).all())
    for one, whole in zip(found[:2], stack[:2], strict=True):
        u, _, v = torch.linalg.svd(whole, full_matrices=False)
        singular = torch.linalg.svdvals(one)
        assert float(singular.min()) > 0.6 and float(singular.max()) < 1.3  # Muon's iteration stays near 1
        torch.testing.assert_close(u.mT @ one @ v.mT, torch.diag((u.mT @ one @ v.mT).diagonal()), rtol=0, atol=1e-3)


def test_lanes_of_the_optimiser_do_not_meet_and_steps_have_their_size() -> None:
    stream = torch.Generator().manual_seed(2)
    shapes = {"fine": (2, 1, 4, 6, 3, 3), "many": (2, 1, 9, 6, 3, 3), "rgb": (2, 1, 3, 6, 1, 1), "bias": (2, 4)}
    start = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}
    grads = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}

    def moved(lanes: slice) -> dict[str, torch.Tensor]:
        values = {name: value[lanes].clone().requires_grad_(True) for name, value in start.items()}
        optimiser = OrthogonalAdam(list(values.values()), 1e-2, (0.5, 0.8), channels=8, gain=2.0, momentum=0.5)
        assert len(optimiser.filters) == 1 and optimiser.filters[0] is values["fine"]
        for name, value in values.items():
            value.grad = grads[name][lanes].clone()
        optimiser.step()
        return {name: value.detach() - start[name][lanes] for name, value in values.items()}

    both, alone = moved(slice(0, 2)), moved(slice(1, 2))
    for name in shapes:
        torch.testing.assert_close(both[name][1:], alone[name], rtol=1e-4, atol=1e-6)
    assert float(both["fine"].square().mean().sqrt()) == pytest.approx(2e-2, rel=0.3)
    assert float(both["many"].abs().max()) == pytest.approx(1e-2, rel=1e-2)
    assert float((both["fine"] * grads["fine"]).sum()) < 0
