"""Over every shipped pipeline on a toy generator: what any method has to keep to."""

from __future__ import annotations

from dataclasses import is_dataclass, replace

import pytest
import torch
from torch import Tensor

from methods import registry
from methods.base import Inversion, Method, render
from methods.encoders.designs import DESIGNS
from methods.generators import Generator, load_generator
from methods.pipeline import Pipeline
from methods.registry import PipelineSpec
from methods.tuning.deltas import fingerprint

pytestmark = pytest.mark.assets

LEARNED = (*DESIGNS, "hyperstyle")
FEW = {
    "w_optimization": {"steps": 3, "lr": 0.05, "lanes": 2, "features": "lpips_alex"},
    "w_plus_optimization": {"steps": 3, "lr": 0.05, "lanes": 2, "features": "lpips_alex"},
    "pivotal_tuning": {"steps": 2, "stop_lpips": 0.0},
    "lane_pivotal_tuning": {"steps": 2, "stop_lpips": 0.0, "lanes": 2},
    "fast_pivotal_tuning": {"steps": 2, "lanes": 2},
    **{name: {"weights": "toy", "lanes": 2} for name in LEARNED},
}
IDS = ["set/a", "set/b", "set/c", "set/d"]


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("toy")


@pytest.fixture(scope="module")
def targets(generator: Generator) -> Tensor:
    z = torch.randn(len(IDS), generator.z_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return generator(z, noise="none").clamp(-1, 1)


def spec(name: str, **extra: dict[str, object]) -> PipelineSpec:
    settings = {stage: {**FEW[stage], **extra.get(stage, {})} for stage in FEW}
    shipped = registry.load_pipeline(name, settings)
    # A pipeline may name weights of its own, which fit no toy generator.
    toys = [replace(s, config=replace(s.config, weights="toy")) if s.name in LEARNED else s for s in shipped.stages]
    return replace(shipped, stages=tuple(toys))


def invert(generator: Generator, which: PipelineSpec, images: Tensor, ids: list[str]) -> Inversion:
    torch.set_num_threads(1)
    return Pipeline(generator, which, seed=0).invert(images, ids)


@pytest.mark.parametrize("name", registry.pipeline_names())
def test_result_is_what_it_says(name: str, generator: Generator, targets: Tensor) -> None:
    before = fingerprint(generator)
    found = invert(generator, spec(name), targets, IDS)
    assert found.latent.shape == (4, generator.num_ws, generator.w_dim)
    assert found.image.shape == targets.shape and bool((found.image.abs() <= 1).all())
    assert torch.equal(render(generator, found), found.image)
    assert fingerprint(generator) == before, "the shared generator was written to"
    if found.space == "W":
        assert torch.equal(found.latent, found.latent[:, :1].expand_as(found.latent))


@pytest.mark.parametrize("name", registry.pipeline_names())
def test_batches_and_order_do_not_matter(name: str, generator: Generator, targets: Tensor) -> None:
    which = spec(name)
    size = max(stage.cls.group_size(stage.config) for stage in which.stages)
    whole = invert(generator, which, targets, IDS)
    if size == 1:
        parts = [invert(generator, which, targets[i : i + 1], IDS[i : i + 1]) for i in (2, 0, 3, 1)]
        for part in parts:
            n = IDS.index(part.ids[0])
            assert torch.equal(part.image[0], whole.image[n]), f"{part.ids[0]} depends on its batch"
    again = invert(generator, which, targets, IDS)
    assert torch.equal(again.image, whole.image) and torch.equal(again.latent, whole.latent)


@pytest.mark.parametrize("name", registry.pipeline_names())
def test_last_stage_without_steps_returns_init(name: str, generator: Generator, targets: Tensor) -> None:
    which = spec(name)
    if len(which.stages) == 1:
        pytest.skip("one stage: there is nothing before it")
    first = invert(generator, replace(which, stages=which.stages[:-1]), targets, IDS)
    last = which.stages[-1]
    idle = replace(last, config=replace(last.config, steps=0)).build(generator, 0)
    assert idle.invert(targets, IDS, first) is first


@pytest.mark.parametrize("name", registry.pipeline_names())
def test_more_steps_come_closer(name: str, generator: Generator, targets: Tensor) -> None:
    """The own objective of the last stage is lower after its steps than before them."""
    more: dict[str, dict[str, object]] = {
        "w_optimization": {"steps": 24, "l2": 1.0},
        "w_plus_optimization": {"steps": 24, "l2": 1.0},
        "pivotal_tuning": {"steps": 12},
        "lane_pivotal_tuning": {"steps": 12},
    }
    which = spec(name, **more)
    last = which.stages[-1]
    if last.name in LEARNED:
        pytest.skip("what is learned takes no steps towards its image")
    before = replace(which, stages=(*which.stages[:-1], replace(last, config=replace(last.config, steps=0))))
    start, end = invert(generator, before, targets, IDS), invert(generator, which, targets, IDS)
    assert (end.image - targets).square().mean() < (start.image - targets).square().mean()


TUNERS = [
    name
    for name in registry.STAGES
    if registry.stage_class(name).info.refines and hasattr(registry.stage_class(name).Config(), "lr")
]


@pytest.mark.parametrize("name", TUNERS)
def test_tuning_goes_on_from_the_weights_that_an_image_came_with(
    name: str, generator: Generator, targets: Tensor
) -> None:
    first = invert(generator, spec("hyperstyle"), targets[:2], IDS[:2])
    plain = replace(first, weights=(None, None))
    still = registry.resolve_stage(name, FEW[name] | {"steps": 1, "lr": 1e-9}).build(generator, 0)
    found = still.invert(targets[:2], IDS[:2], first)
    torch.testing.assert_close(found.image, first.image, rtol=0, atol=1e-5)
    assert (render(generator, plain) - found.image).abs().max() > 0.01
    assert torch.equal(render(generator, found), found.image)


@pytest.mark.parametrize("name", list(registry.STAGES))
def test_stage_describes_itself(name: str) -> None:
    cls = registry.stage_class(name)
    assert issubclass(cls, Method) and cls.info.name == name and cls.info.version >= 1
    for value in (cls.info.title, cls.info.paper, cls.info.code, cls.info.licence, cls.info.space, cls.info.note):
        assert value
    assert is_dataclass(cls.Config) and cls.Config.__doc__


@pytest.mark.parametrize("name", list(registry.STAGES))
def test_wrong_input_is_named(name: str, generator: Generator, targets: Tensor) -> None:
    stage = registry.resolve_stage(name, FEW[name]).build(generator, 0)
    init = None
    if stage.info.refines:
        with pytest.raises(ValueError, match="put a stage such as w_optimization before it"):
            stage.check(targets, IDS, None)
        init = invert(generator, spec("sg2_w"), targets, IDS)
    with pytest.raises(ValueError, match=r"\[4, 3, 32, 32\]"):
        stage.check(targets[..., ::2, ::2], IDS, init)
    with pytest.raises(ValueError, match=r"found -?\d+\.\d+ to 255\.000"):
        stage.check(targets.clamp(0, 1) * 0 + 255, IDS, init)
    with pytest.raises(ValueError, match="4 images came with 3 ids"):
        stage.check(targets, IDS[:3], init)


def test_one_bad_image_fails_alone(generator: Generator, targets: Tensor) -> None:
    stage = registry.resolve_stage("w_optimization", FEW["w_optimization"]).build(generator, 0)
    images = targets.clone()
    images[1, 0, 0, 0] = float("nan")
    outcome = stage.predict_step({"images": images, "ids": IDS}, 0)
    assert list(outcome.failures) == ["set/b"] and "[-1, 1]" in outcome.failures["set/b"]
    assert outcome.inversion is not None and outcome.inversion.ids == ("set/a", "set/c", "set/d")
    assert set(outcome.seconds) == set(IDS)


def test_multi_id_shares_one_generator(generator: Generator, targets: Tensor) -> None:
    found = invert(generator, spec("pti_multi_id"), targets, IDS)
    weights = found.weights
    assert weights[0] is not None and all(w is weights[0] for w in weights)


def test_wrong_setting_names_the_near_miss() -> None:
    with pytest.raises(ValueError, match="did you mean 'stop_lpips'"):
        registry.load_pipeline("pti", {"pivotal_tuning": {"stop_lpip": 0.1}})
    with pytest.raises(ValueError, match="did you mean 'sg2_w_plus'"):
        registry.load_pipeline("sg2_wplus")
    with pytest.raises(ValueError, match="did you mean 'w_optimization'"):
        registry.resolve_stage("w_optimisation")


def test_a_new_method_is_one_file_and_one_yaml(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A stage in its own module, one registry line and one YAML are enough."""
    (tmp_path / "mean_latent.py").write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from methods.base import Inversion, Method, MethodInfo\n"
        "from methods.base import rendered\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n    scale: float = 1.0\n"
        "class MeanLatent(Method):\n"
        "    Config = Config\n"
        "    info = MethodInfo('mean_latent', 'Mean', 1, 'none', 2026, 'none', 'MIT', 'W')\n"
        "    def invert(self, images, ids, init=None):\n"
        "        w = self.generator.w_mean.expand(len(ids), self.generator.num_ws, -1) * self.config.scale\n"
        "        empty, steps = torch.empty_like(images), torch.zeros(len(ids))\n"
        "        return rendered(self.generator, Inversion(tuple(ids), w, 'W', empty, steps))\n"
    )
    (tmp_path / "mean.yaml").write_text("name: mean\nstages:\n  - {name: mean_latent, scale: 0.5}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "CONFIGS", tmp_path)
    monkeypatch.setitem(registry.STAGES, "mean_latent", "mean_latent:MeanLatent")
    generator = load_generator("toy")
    found = Pipeline(generator, registry.load_pipeline("mean")).invert(torch.zeros(2, 3, 64, 64), ["a", "b"])
    assert torch.equal(found.latent[0, 0], generator.w_mean * 0.5)
