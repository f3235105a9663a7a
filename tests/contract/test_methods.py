"""What every method has to keep: each stage on a toy generator, every shipped pipeline as it is loaded and built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass, replace

import pytest
import torch
from torch import Tensor

from methods import registry
from methods.base import Inversion, Method, render, rendered
from methods.encoders.designs import DESIGNS
from methods.generators import Generator, load_generator
from methods.generators.fingerprint import fingerprint
from methods.pipeline import Pipeline
from methods.registry import PipelineSpec

pytestmark = pytest.mark.assets

LEARNED = (*DESIGNS, "hyperstyle", "hfgi", "styleres", "feature_style", "sfe")
FEW = {
    "w_optimization": {"steps": 3, "lr": 0.05, "batch_size": 2, "features": "lpips_alex"},
    "w_plus_optimization": {"steps": 3, "lr": 0.05, "batch_size": 2, "features": "lpips_alex"},
    "pivotal_tuning": {"steps": 2, "stop_lpips": 0.0},
    "dhr": {"steps": 2, "domain.steps": 1, "domain.segments": 9, "domain.parser": "none", "batch_size": 2},
    **{name: {"weights": "toy", "batch_size": 2} for name in LEARNED},
    **{name: {"weights": "toy"} for name in ("hfgi", "styleres")},  # image by image
}
FAST = {key: value for key, value in registry.describe("pti_fast").stages[-1].items() if key != "name"}
IDS = ["set/a", "set/b", "set/c", "set/d"]


@dataclass(frozen=True)
class Case:
    """A stage, and settings that make another computation of it. after: it starts from an inversion, as refiners do."""

    stage: str
    settings: dict[str, object] = field(default_factory=dict)
    after: bool = False


CASES = {
    **{name: Case(name, after=registry.stage_class(name).info.refines) for name in registry.STAGES.names()},
    "w_plus_optimization of a code": Case("w_plus_optimization", after=True),
    "pivotal_tuning without locality": Case("pivotal_tuning", {"locality.weight": 0.0}, after=True),
    "pivotal_tuning of a group": Case("pivotal_tuning", {"group": 4}, after=True),
    "pivotal_tuning in batches": Case("pivotal_tuning", {"batch_size": 2}, after=True),
    "pivotal_tuning as pti_fast": Case("pivotal_tuning", {**FAST, "batch_size": 2, "steps": 2}, after=True),
}
EVERY_CASE = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(scope="module")
def generator(device: torch.device) -> Generator:
    torch.set_num_threads(1)
    return load_generator("toy").to(device)


@pytest.fixture(scope="module")
def targets(generator: Generator, device: torch.device) -> Tensor:
    z = torch.randn(len(IDS), generator.z_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return generator(z.to(device), noise="none").clamp(-1, 1)


@pytest.fixture(scope="module")
def codes(generator: Generator, device: torch.device) -> Inversion:
    """Random codes in W as an inversion: what a stage that refines starts from."""
    z = torch.randn(len(IDS), generator.z_dim, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        w = generator.mapping(z.to(device), truncation=0.5)
    assert w.shape == (len(IDS), generator.num_ws, generator.w_dim)
    return rendered(generator, Inversion(tuple(IDS), w, "W", torch.empty(len(IDS), 3, 64, 64), torch.zeros(len(IDS))))


Invert = Callable[..., Inversion]


@pytest.fixture(scope="module")
def invert(generator: Generator, targets: Tensor, codes: Inversion, device: torch.device) -> Invert:
    """invert(case, part, **settings): the images that a slice chooses, by the case's stage."""
    known: dict[tuple[str, str], Inversion] = {}

    def run(case: Case, part: slice = slice(None), **settings: object) -> Inversion:
        stage = built(case, generator, **settings).to(device)
        start = codes[part] if case.after else None
        stage.check(targets[part], IDS[part], start)
        return stage.invert(targets[part], IDS[part], start)

    def remembered(case: Case, part: slice = slice(None), fresh: bool = False, **settings: object) -> Inversion:
        key = (repr(case), repr((part, settings)))
        if fresh or key not in known:
            known[key] = run(case, part, **settings)
        return known[key]

    return remembered


def built(case: Case, generator: Generator, **settings: object) -> Method:
    return registry.resolve_stage(case.stage, FEW[case.stage], case.settings, settings).build(generator, 0)


def same(found: Tensor, wanted: Tensor) -> bool:
    """Equal to the last bit on the CPU; elsewhere kernels may depend on the size of a batch."""
    return torch.equal(found, wanted) if found.device.type == "cpu" else torch.allclose(found, wanted, 0, 1e-2)


@EVERY_CASE
def test_result_is_what_it_says(
    case: Case, generator: Generator, targets: Tensor, codes: Inversion, invert: Invert
) -> None:
    before = fingerprint(generator)
    found = invert(case)
    assert found.ids == tuple(IDS) and found.latent.shape == (4, generator.num_ws, generator.w_dim)
    assert found.image.shape == targets.shape and bool((found.image.abs() <= 1).all())
    assert {found.latent.device, found.image.device} == {targets.device}
    assert same(render(generator, found), found.image)
    assert fingerprint(generator) == before, "the shared generator was written to"
    stated = built(case, generator).info.space
    assert found.space == (stated if stated in ("W", "W+") else codes.space)
    if found.space == "W":
        assert torch.equal(found.latent, found.latent[:, :1].expand_as(found.latent))


@EVERY_CASE
def test_batches_and_order_do_not_matter(case: Case, invert: Invert) -> None:
    together = invert(case)
    if "group" not in case.settings:
        for n in (2, 0, 3, 1):
            assert same(invert(case, slice(n, n + 1)).image[0], together.image[n]), f"{IDS[n]} depends on its batch"
    repeated = invert(case, fresh=True)
    assert same(repeated.image, together.image) and same(repeated.latent, together.latent)


REFINING = [name for name in registry.STAGES.names() if registry.stage_class(name).info.refines]


@pytest.mark.parametrize("name", [name for name in REFINING if hasattr(registry.stage_class(name).Config(), "steps")])
def test_no_steps_return_init(name: str, generator: Generator, targets: Tensor, codes: Inversion) -> None:
    assert built(CASES[name], generator, steps=0).invert(targets, IDS, codes) is codes


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.stage not in LEARNED])
def test_more_steps_come_closer(name: str, targets: Tensor, invert: Invert) -> None:
    """The error is lower after the stage's own steps; what is learned takes none towards its image."""
    case = CASES[name]
    more = {"steps": 24, "l2": 1.0} if "features" in FEW[case.stage] else {"steps": 12}
    two = slice(0, 2)
    start, end = (invert(case, two, **settings).image - targets[two] for settings in ({"steps": 0}, more))
    assert end.square().mean() < start.square().mean()


TUNING = [name for name in REFINING if hasattr(registry.stage_class(name).Config(), "lr")]


@pytest.mark.parametrize("name", TUNING)
def test_tuning_goes_on_from_the_weights_that_an_image_came_with(
    name: str, generator: Generator, targets: Tensor, invert: Invert
) -> None:
    first = invert(CASES["hyperstyle"])[:2]
    plain = replace(first, weights=(None, None))
    stage = built(Case(name), generator, steps=1, lr=1e-9)
    found = stage.to(targets.device).invert(targets[:2], IDS[:2], first)
    torch.testing.assert_close(found.image, first.image, rtol=0, atol=1e-5)
    assert (render(generator, plain) - found.image).abs().max() > 0.01
    assert same(render(generator, found), found.image)


@pytest.mark.parametrize("name", registry.STAGES.names())
def test_stage_describes_itself(name: str) -> None:
    cls = registry.stage_class(name)
    assert issubclass(cls, Method) and cls.info.name == name and cls.info.version >= 1
    for value in (cls.info.title, cls.info.paper, cls.info.code, cls.info.licence, cls.info.space, cls.info.note):
        assert value
    assert is_dataclass(cls.Config) and cls.Config.__doc__


@pytest.mark.parametrize("name", registry.STAGES.names())
def test_wrong_input_is_named(name: str, generator: Generator, targets: Tensor, codes: Inversion) -> None:
    stage = built(Case(name), generator)
    init = None
    if stage.info.refines:
        with pytest.raises(ValueError, match="put a stage such as w_optimization before it"):
            stage.check(targets, IDS, None)
        init = codes
    with pytest.raises(ValueError, match=r"\[4, 3, 32, 32\]"):
        stage.check(targets[..., ::2, ::2], IDS, init)
    with pytest.raises(ValueError, match=r"found -?\d+\.\d+ to 255\.000"):
        stage.check(targets.clamp(0, 1) * 0 + 255, IDS, init)
    with pytest.raises(ValueError, match="4 images came with 3 ids"):
        stage.check(targets, IDS[:3], init)


@EVERY_CASE
def test_a_name_does_not_matter(
    case: Case, generator: Generator, targets: Tensor, codes: Inversion, invert: Invert
) -> None:
    stage = built(case, generator).to(targets.device)
    found = stage.invert(targets, [f"other/{i}" for i in range(len(IDS))], codes if case.after else None)
    wanted = invert(case)
    assert same(found.latent, wanted.latent) and same(found.image, wanted.image)


@EVERY_CASE
def test_one_image_need_not_fill_a_batch(
    case: Case, generator: Generator, targets: Tensor, codes: Inversion, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without padding an image is computed once, and its result differs in the last digits only."""
    sizes, synthesis = [], Generator.synthesis

    def counted(self: Generator, w_plus: Tensor, *args: object, **options: object) -> Tensor:
        sizes.append(len(w_plus))
        return synthesis(self, w_plus, *args, **options)

    def rendered_alone(pads: bool, **settings: object) -> tuple[Inversion, int]:
        stage = built(case, generator, **settings).to(targets.device)
        stage.pads = pads
        sizes.clear()
        found = stage.invert(targets[:1], IDS[:1], codes[:1] if case.after else None)
        return found, sum(sizes)

    monkeypatch.setattr(Generator, "synthesis", counted)
    sized = hasattr(registry.stage_class(case.stage).Config(), "batch_size") and "group" not in case.settings
    found, count = rendered_alone(pads=False, **({"batch_size": 8} if sized else {}))
    wanted, least = rendered_alone(pads=True, **({"batch_size": 1} if sized else {}))
    assert count <= least
    torch.testing.assert_close(found.image, wanted.image, rtol=0, atol=0.02)


def test_one_bad_image_fails_alone(generator: Generator, targets: Tensor) -> None:
    stage = built(CASES["w_optimization"], generator).to(targets.device)
    images = targets.clone()
    images[1, 0, 0, 0] = float("nan")
    outcome = stage.predict_step({"images": images, "ids": IDS}, 0)
    assert list(outcome.failures) == ["set/b"] and "[-1, 1]" in outcome.failures["set/b"]
    assert outcome.inversion is not None and outcome.inversion.ids == ("set/a", "set/c", "set/d")
    assert set(outcome.seconds) == set(IDS)


def test_a_group_shares_one_generator(invert: Invert) -> None:
    weights = invert(CASES["pivotal_tuning of a group"]).weights
    assert weights[0] is not None and all(w is weights[0] for w in weights)


@pytest.fixture(scope="module")
def toy() -> Generator:
    return load_generator("toy")


def with_toy_weights(name: str) -> PipelineSpec:
    """A shipped pipeline of few steps; weights that it names itself fit no toy generator."""
    shipped = registry.load_pipeline(name, FEW)
    toys = [replace(s, config=replace(s.config, weights="toy")) if s.name in LEARNED else s for s in shipped.stages]
    return replace(shipped, stages=tuple(toys))


@pytest.mark.parametrize("name", registry.names())
def test_every_shipped_pipeline_loads_and_builds(name: str, toy: Generator) -> None:
    shipped = registry.load_pipeline(name)
    assert shipped.name == name and shipped.title and shipped.stages
    assert not shipped.stages[0].cls.info.refines, "there is no inversion before a pipeline's first stage"
    for stage in shipped.stages:
        assert isinstance(stage.config, stage.cls.Config)
    pipeline = Pipeline(toy, with_toy_weights(name), seed=0)
    assert [type(stage) for stage in pipeline.stages] == [stage.cls for stage in shipped.stages]
    assert pipeline.info.name == name and not pipeline.info.refines and pipeline.info.space in ("W", "W+")


def test_a_pipeline_is_its_stages_one_after_the_other(generator: Generator, targets: Tensor) -> None:
    spec = with_toy_weights("hyperstyle+pti")
    assert len(spec.stages) == 3
    wanted: Inversion | None = None
    for stage in spec.stages:
        wanted = stage.build(generator, 3).to(targets.device).invert(targets[:2], IDS[:2], wanted)
    found = Pipeline(generator, spec, seed=3).to(targets.device).invert(targets[:2], IDS[:2])
    assert wanted is not None and same(found.image, wanted.image) and same(found.latent, wanted.latent)
    assert found.space == "W" and all(found.weights)


def test_a_pipeline_keeps_its_groups_when_a_batch_is_halved(generator: Generator, targets: Tensor) -> None:
    spec = registry.load_pipeline("pti_multi_id", FEW)
    first, last = spec.stages
    spec = replace(spec, stages=(first, replace(last, config=replace(last.config, group=4, steps=1))))
    pipeline = Pipeline(generator, spec, seed=0).to(targets.device)
    assert pipeline.group_size(pipeline.config) == 4 and pipeline.parallel_images(pipeline.config) == 2
    sizes: list[int] = []
    invert_all = pipeline.invert

    def out_of_memory(images: Tensor, ids: list[str], init: Inversion | None = None) -> Inversion:
        sizes.append(len(ids))
        if len(ids) > 4:
            raise torch.OutOfMemoryError("more than four images")
        return invert_all(images, ids, init)

    pipeline.invert = out_of_memory  # type: ignore[method-assign, assignment]
    ids = [f"set/{i}" for i in range(6)]
    outcome = pipeline.predict_step({"images": targets[[0, 1, 2, 3, 0, 1]], "ids": ids}, 0)
    assert sizes == [6, 4, 2] and not outcome.failures and outcome.inversion is not None
    weights = outcome.inversion.weights
    assert weights[0] is weights[3] and weights[4] is weights[5] and weights[0] is not weights[4]


def test_a_pipeline_is_a_module(toy: Generator) -> None:
    pipeline = Pipeline(load_generator("toy"), with_toy_weights("hyperstyle+pti"), seed=0)
    assert all(p.dtype == torch.float64 for p in pipeline.to(torch.float64).parameters())
    assert len({id(stage.generator) for stage in pipeline.stages} | {id(pipeline.generator)}) == 1
    assert {"stages.0.encoder.latent_avg", "generator.latent_avg"} <= set(pipeline.state_dict())


def test_wrong_setting_names_the_near_miss() -> None:
    with pytest.raises(ValueError, match="did you mean 'stop_lpips'"):
        registry.load_pipeline("pti", {"pivotal_tuning": {"stop_lpip": 0.1}})
    with pytest.raises(ValueError, match="did you mean 'sg2_w_plus'"):
        registry.load_pipeline("sg2_wplus")
    with pytest.raises(ValueError, match="did you mean 'w_optimization'"):
        registry.resolve_stage("w_optimisation")
