"""PTI's variants: the schedule, what is left as it is, and what few steps reach beside the published settings."""

from __future__ import annotations

import pytest
import torch

from methods.features import perceptual
from methods.generators import load_generator
from methods.pipeline import Pipeline
from methods.registry import PipelineSpec, load_pipeline, resolve_stage
from methods.tuning.optimizers import OptimizerConfig, OrthogonalAdam, learning_rate_factor, orthogonal
from methods.tuning.tune import tunable


def test_the_rate_rises_by_a_line_and_falls_by_a_cosine() -> None:
    config = OptimizerConfig(schedule="warmup_cosine", warmup=0.1)
    found = [learning_rate_factor(config, progress) for progress in (0.05, 0.1, 0.55, 1)]
    assert found == pytest.approx([0.5, 1, 0.5, 0])
    assert learning_rate_factor(OptimizerConfig(schedule="warmup_cosine"), 0) == 1
    assert learning_rate_factor(OptimizerConfig(), 0.7) == 1


@pytest.mark.assets
@pytest.mark.parametrize("batch_size", [1, 2])
def test_few_steps_get_further_than_as_many_published_ones(batch_size: int) -> None:
    generator = load_generator("toy")
    image = generator.synthesis(generator.mapping(torch.ones(1, generator.z_dim))).clamp(-1, 1).roll(3, dims=3)
    few = {"steps": 12, "stop_lpips": 0.0, "batch_size": batch_size, "locality": {"weight": 0.0}}
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
        errors[name] = float(perceptual("lpips_alex")(outcome.inversion.image, image))
    assert errors["fast_pivotal_tuning"] < 0.9 * errors["pivotal_tuning"], errors


@pytest.mark.assets
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("affine", [False, True])
def test_the_maps_to_styles_are_tuned_where_asked_for(affine: bool, batch_size: int) -> None:
    generator = load_generator("toy")
    image = torch.zeros(1, 3, generator.resolution, generator.resolution)
    first = resolve_stage("w_optimization", {"steps": 1, "features": "lpips_alex", "batch_size": 1}).build(generator, 0)
    settings = {"steps": 2, "batch_size": batch_size, "affine": affine, "stop_lpips": 0.0}
    stage = resolve_stage("pivotal_tuning", settings).build(generator, 0)
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


def test_images_of_a_stack_do_not_influence_one_another_and_steps_have_their_size() -> None:
    stream = torch.Generator().manual_seed(2)
    shapes = {"fine": (2, 1, 4, 6, 3, 3), "many": (2, 1, 9, 6, 3, 3), "rgb": (2, 1, 3, 6, 1, 1), "bias": (2, 4)}
    start = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}
    grads = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}

    def moved(images: slice) -> dict[str, torch.Tensor]:
        values = {name: value[images].clone().requires_grad_(True) for name, value in start.items()}
        optimiser = OrthogonalAdam(list(values.values()), 1e-2, (0.5, 0.8), channels=8, gain=2.0, momentum=0.5)
        assert len(optimiser.filters) == 1 and optimiser.filters[0] is values["fine"]
        for name, value in values.items():
            value.grad = grads[name][images].clone()
        optimiser.step()
        return {name: value.detach() - start[name][images] for name, value in values.items()}

    both, alone = moved(slice(0, 2)), moved(slice(1, 2))
    for name in shapes:
        torch.testing.assert_close(both[name][1:], alone[name], rtol=1e-4, atol=1e-6)
    assert float(both["fine"].square().mean().sqrt()) == pytest.approx(2e-2, rel=0.3)
    assert float(both["many"].abs().max()) == pytest.approx(1e-2, rel=1e-2)
    assert float((both["fine"] * grads["fine"]).sum()) < 0


def test_a_single_generator_takes_the_steps_of_a_stack_of_one() -> None:
    stream = torch.Generator().manual_seed(3)
    shapes = {"fine": (1, 4, 6, 3, 3), "const": (1, 6, 4, 4), "bias": (4,)}
    start = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}
    grads = {name: torch.randn(shape, generator=stream) for name, shape in shapes.items()}
    ends = []
    for stacked in (False, True):
        values = [value[None].clone() if stacked else value.clone() for value in start.values()]
        optimizer = OrthogonalAdam(values, 1e-2, (0.5, 0.8), channels=8, gain=2.0, momentum=0.5, stacked=stacked)
        assert len(optimizer.filters) == 1 and optimizer.filters[0] is values[0]
        for value, grad in zip(values, grads.values(), strict=True):
            value.grad = grad.reshape(value.shape).clone()
        optimizer.step()
        ends.append([value.reshape(shape) for value, shape in zip(values, shapes.values(), strict=True)])
    for alone, stack in zip(*ends, strict=True):
        torch.testing.assert_close(alone, stack, rtol=1e-5, atol=1e-7)


def test_former_stage_and_setting_names_still_work(caplog: pytest.LogCaptureFixture) -> None:
    fast = resolve_stage("fast_pivotal_tuning", {"lanes": 2, "orthogonal": 8})
    assert fast.name == "pivotal_tuning" and fast.config.batch_size == 2 and fast.config.steps == 50
    assert fast.config.optimizer.name == "muon" and fast.config.optimizer.channels == 8
    assert "'lanes' is now called 'batch_size'" in caplog.text and "is now pivotal_tuning" in caplog.text
    assert load_pipeline("pti_lanes") == load_pipeline("pti_batched")


def test_group_and_batch_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="set one of them to 1, found 4 and 2"):
        resolve_stage("pivotal_tuning", {"group": 4, "batch_size": 2})
    with pytest.raises(ValueError, match=r"optimizer\.name is 'sgd', expected one of adam, muon"):
        resolve_stage("pivotal_tuning", {"optimizer.name": "sgd"})


def test_settings_of_a_former_stage_reach_its_method() -> None:
    settings = {"fast_pivotal_tuning": {"steps": 8}, "pivotal_tuning": {"steps": 9}}
    assert load_pipeline("pti_fast", settings).stages[-1].config.steps == 8
    assert load_pipeline("pti", settings).stages[-1].config.steps == 9
