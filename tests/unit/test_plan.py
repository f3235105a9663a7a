"""Cells and their keys: what is shared, what changes an address and what must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engine import plan as planning
from benchmarks.engine.config import DatasetEntry, SuiteConfig
from benchmarks.engine.plan import Plan, expand, stage_run_key
from benchmarks.engine.run import Run
from benchmarks.engine.runner import group_size, pending
from benchmarks.engine.types import Shard
from benchmarks.errors import ConfigError
from datasets import registry as datasets_registry
from datasets.assets import AssetMissingError
from datasets.base import Manifest, Record
from methods.base import Method
from methods.generators import load_generator
from methods.generators.fingerprint import fingerprint
from methods.registry import load_pipeline, stage_class

GOLDEN = Path(__file__).parents[1] / "golden" / "stage_run_key.txt"
SUITE = SuiteConfig(
    name="test",
    generator="toy",
    methods=["sg2_w", "pti", "w_plus_pti"],
    datasets=[DatasetEntry("synthetic")],
    protocols={"reconstruction": {"metrics": ["mse"]}},
    stage_settings={"pivotal_tuning": {"steps": 3}},
)


def synthetic(version: int = 1, n: int = 10) -> Manifest:
    records = tuple(Record(f"i{n:02d}", f"images/i{n:02d}.png", f"{n:064x}", {"n": n}) for n in range(n))
    return Manifest("synthetic", "Synthetic", version, "none", 64, "CC0", "out", Path("nowhere"), records)


def paired() -> Manifest:
    clean = synthetic(n=4).records
    records = tuple(replace(r, labels={"clean": clean[n - 1].id}) if n % 2 else r for n, r in enumerate(clean))
    return replace(synthetic(), name="pairs", records=records)


def offline() -> Manifest:
    raise AssetMissingError("the asset is not here; run fetch")


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(datasets_registry.DATASETS.table, "synthetic", f"{__name__}:synthetic")
    monkeypatch.setitem(datasets_registry.DATASETS.table, "other", f"{__name__}:synthetic")
    monkeypatch.setitem(datasets_registry.DATASETS.table, "pairs", f"{__name__}:paired")
    monkeypatch.setitem(datasets_registry.DATASETS.table, "offline", f"{__name__}:offline")


def keys(suite: SuiteConfig = SUITE) -> list[str]:
    return [stage_run.key for stage_run in expand(suite).stage_runs]


def with_data(**options: int) -> SuiteConfig:
    return replace(SUITE, datasets=[DatasetEntry("synthetic", options=options)])


def test_pipelines_share_their_beginning():
    plan = expand(SUITE)
    assert len(plan.stage_runs) == 4  # W, W -> tuning, W+, W+ -> tuning
    w, pti = plan.leaf["sg2_w", "synthetic", 0], plan.leaf["pti", "synthetic", 0]
    assert plan.stage_run(pti).parent == w and plan.stage_run(w).parent is None
    seen: set[str | None] = {None}
    for stage_run in plan.stage_runs:
        assert stage_run.parent in seen, "a parent comes after its child"
        seen.add(stage_run.key)


def test_every_seed_has_stage_runs_of_its_own() -> None:
    plan = expand(replace(SUITE, seeds=[3, 0, 3]))
    assert [stage_run.seed for stage_run in plan.stage_runs] == [3] * 4 + [0] * 4
    assert set(keys()) == {stage_run.key for stage_run in plan.stage_runs if stage_run.seed == 0}
    assert {place.seed for place in plan.leaf} == {0, 3}
    key = plan.leaf["pti", "synthetic", 3]
    assert plan.methods_of(key) == ["pti"] and plan.stage_run(plan.lineage(key)[1]).seed == 3


def test_key_depends_on_what_changes_results(monkeypatch, tmp_path):
    before = keys()
    assert keys() == before
    steps = keys(replace(SUITE, stage_settings={"pivotal_tuning": {"steps": 4}}))
    assert steps[0] == before[0] and steps[1] != before[1], "only the stage whose steps differ gets another key"
    assert not set(keys(replace(SUITE, seed=1))) & set(before)
    assert not set(keys(replace(SUITE, tf32=True))) & set(before)
    assert not set(keys(with_data(version=2))) & set(before)
    assert not set(keys(with_data(n=11))) & set(before)
    other = load_generator("toy")
    other.input.input.add_(1e-3)
    with monkeypatch.context() as patch:
        patch.setattr(planning, "load_generator", lambda name: other)
        assert not set(keys()) & set(before)
    tuning = stage_class("pivotal_tuning")
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "info", replace(tuning.info, version=tuning.info.version + 1))
        assert [a == b for a, b in zip(keys(), before, strict=True)] == [True, False, True, False]


def test_key_does_not_depend_on_how_it_is_run():
    before = keys()
    assert (
        keys(replace(SUITE, batch_size=1, workers=2, save_weights=True, protocols={"locality": {}}, title="b"))
        == before
    )
    limited = replace(SUITE, datasets=[DatasetEntry("synthetic", limit=3)])
    assert keys(limited) == before and len(expand(limited).manifests["synthetic"].ids) == 3
    unused = {"pivotal_tuning": {"steps": 3}, "w_optimization": {}}
    assert keys(replace(SUITE, methods=["sg2_w"], stage_settings=unused, reference_method="pti")) == before[:1]
    named = keys(replace(SUITE, methods=["w_plus_pti", "pti"], protocols={}))
    assert set(named) == set(before), "names, order and metrics of a suite are no part of a key"


def test_a_data_set_may_take_some_methods_only():
    two = [DatasetEntry("synthetic"), DatasetEntry("other", methods=["pti", "w_plus_pti"], options={"version": 2})]
    plan = expand(replace(SUITE, datasets=two))
    assert {dataset for method, dataset, _ in plan.leaf if method == "sg2_w"} == {"synthetic"}
    assert ("pti", "other", 0) in plan.leaf and keys() == [c.key for c in plan.stage_runs if c.dataset == "synthetic"]
    plan = expand(replace(SUITE, datasets=two, methods=["sg2_w"]))
    assert list(plan.manifests) == ["synthetic"], "a set that no method runs on is not built"


def test_pairs_are_taken_whole_or_not_at_all():
    suite = replace(SUITE, protocols={"occlusion": {}}, datasets=[DatasetEntry("pairs", limit=4)])
    assert len(expand(suite).manifests["pairs"].ids) == 4
    torn = replace(suite, datasets=[DatasetEntry("pairs", limit=2)])
    with pytest.raises(ConfigError, match=r"taken without i0\d.*count instead of limit"):
        expand(torn)
    assert expand(replace(torn, protocols={})).manifests["pairs"].ids


def test_key_of_a_group_depends_on_who_is_in_it():
    suite = replace(SUITE, methods=["pti_multi_id"])
    whole, part = keys(suite), keys(replace(suite, datasets=[DatasetEntry("synthetic", limit=8)]))
    assert whole[0] == part[0] and whole[1] != part[1]


def test_golden_key():
    """Stored results of every user are found by this address: it changes with STORE_VERSION only."""
    generator = load_generator("toy")
    generator.latent_avg.zero_()  # computed: its last bits are the machine's
    stages = load_pipeline("pti", {"pivotal_tuning": {"steps": 3}}).stages
    assert stage_run_key(stages, fingerprint(generator), synthetic().key, 0) == GOLDEN.read_text().strip()


@pytest.mark.parametrize("methods", [["sg2_w", "pti"], ["pti", "pti_multi_id"], ["pti_multi_id"]])
@pytest.mark.parametrize("of", [1, 2, 3])
def test_shards_are_a_partition_and_hold_their_parents(methods, of, tmp_path):
    plan = expand(replace(SUITE, methods=methods))
    ids = plan.manifests["synthetic"].ids
    run = Run(plan, tmp_path)
    shards = [{c.key: pending(run, c, "missing", Shard(i, of)) for c in plan.stage_runs} for i in range(of)]
    for stage_run in plan.stage_runs:
        assert sorted(image for shard in shards for image in shard[stage_run.key]) == ids
        for shard in shards:
            assert set(shard[stage_run.key]) == set(shard[stage_run.parent or stage_run.key])
            size = group_size(stage_run)
            groups = {tuple(ids[i : i + size]) for i in range(0, len(ids), size)}
            mine = shard[stage_run.key]
            assert {tuple(mine[i : i + size]) for i in range(0, len(mine), size)} <= groups


def test_a_data_set_that_cannot_be_had_is_left_out_with_its_reason():
    entries = [DatasetEntry("offline"), *SUITE.datasets]
    plan = expand(replace(SUITE, datasets=entries))
    assert plan.absent == {"offline": "the asset is not here; run fetch"}
    assert [stage_run.key for stage_run in plan.stage_runs] == keys() and "offline" not in plan.manifests


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ["pto"]}, "did you mean 'pti'"),
        ({"protocols": {"reconstruction": {"metrics": ["msee"]}}}, "did you mean 'mse'"),
        ({"protocols": {"reconstruction": {"metrics": ["mse_interest"]}}}, "a metric of the protocol interest_region"),
        ({"protocols": {"interest_region": {"metrics": ["mse"]}}}, "a metric of the protocol reconstruction"),
        ({"protocols": {"set_distances": {"metrics": ["mse"]}}}, "mse is a metric of the protocol reconstruction"),
        (
            {"protocols": {"reconstruction": {"metrcs": ["mse"]}}},
            "'metrcs' is not a setting of the protocol: did you mean 'metrics'",
        ),
        ({"protocols": {"reconstruction": {}, "more": {"protocol": "reconstruction"}}}, "have a metric 'mse'"),
        ({"protocols": {"localty": {}}}, "did you mean 'locality'"),
        ({"protocols": {"locality": {"samples": 3}}}, "'samples' is not a setting of the protocol: known: none"),
        ({"protocols": {"mine": {"protocol": "nowhere:Mine"}}}, "'nowhere:Mine' cannot be imported"),
        ({"protocols": {"editing": {"images": -1}}}, "images is -1"),
        ({"datasets": [DatasetEntry("synthetic", methods=["pto"])]}, "did you mean 'pti'"),
        ({"datasets": [DatasetEntry("synthetic", methods=["pti_multi_id"])]}, "takes any of the methods sg2_w, pti"),
        ({"generator": "nothing"}, "no generator 'nothing'"),
        ({"datasets": [DatasetEntry("synthetc")]}, "did you mean 'synthetic'"),
        ({"datasets": [DatasetEntry("synthetic", options={"vers": 1})]}, "no option 'vers'"),
        ({"datasets": [DatasetEntry("synthetic", limit=0)]}, "expected at least 1"),
        ({"datasets": [DatasetEntry("folder")]}, "needs the option 'path'"),
        ({"datasets": [DatasetEntry("folder", options={"path": "/nowhere"})]}, "is not a folder"),
        ({"datasets": [DatasetEntry("offline")]}, "run fetch"),
        ({"stage_settings": {"w_optimization": {"stepz": 1}}}, "did you mean 'steps'"),
        ({"stage_settings": {"w_optimisation": {"steps": 1}}}, "did you mean 'w_optimization'"),
        ({"reference_method": "pto"}, "did you mean 'pti'"),
        ({"methods": ["e4e"], "stage_settings": {"e4e": {"weights": "nowhere"}}}, "no encoder weights 'nowhere'"),
    ],
)
def test_what_cannot_run_is_refused_at_once(change, said):
    with pytest.raises(ConfigError) as caught:
        expand(replace(SUITE, **change))
    assert said in str(caught.value)


def test_resolution_must_fit(monkeypatch):
    monkeypatch.setattr(datasets_registry, "load", lambda name: replace(synthetic(), resolution=32))
    with pytest.raises(ConfigError, match="32 px, the generator 64 px"):
        expand(SUITE)


def test_plan_knows_its_stages():
    plan = expand(SUITE)
    assert isinstance(plan, Plan) and all(issubclass(stage_run.stage.cls, Method) for stage_run in plan.stage_runs)
    with pytest.raises(KeyError, match="no stage run"):
        plan.stage_run("0" * 20)
