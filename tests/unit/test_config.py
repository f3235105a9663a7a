"""Suites: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.engine.config import SUITES, SuiteConfig, load_suite, suite_names
from benchmarks.engine.plan import load_protocols
from benchmarks.errors import ConfigError
from methods.registry import load_pipeline


def refused(*overrides: str, suite: str = "smoke") -> str:
    with pytest.raises(ConfigError) as caught:
        load_suite(suite, list(overrides))
    return str(caught.value)


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suites_resolve(name):
    suite = load_suite(name)
    assert suite.name == name and suite.title
    own = yaml.safe_load((SUITES / f"{name}.yaml").read_text())  # a suite may leave out methods of its base
    stages = {s.name for method in suite.methods for s in load_pipeline(method, suite.stage_settings).stages}
    assert set(own.get("stage_settings", {})) <= stages
    assert [protocol.name for protocol in load_protocols(suite)] == list(suite.protocols)
    assert suite.reference_method in suite.methods


def test_full_suite_differs_in_its_images_only():
    part, full = load_suite("celeba64"), load_suite("celeba64-full")
    assert [e.name for e in part.datasets] == [e.name for e in full.datasets]
    assert all(entry.limit is None for entry in full.datasets)
    shared = {stage: full.stage_settings[stage] for stage in part.stage_settings}
    assert (part.stage_settings, part.seed, part.generator) == (shared, full.seed, full.generator)


def test_overrides():
    settings = [
        "datasets[0].limit=7",
        "datasets.0.options={a: 1}",
        "stage_settings.pivotal_tuning.lr=1e-4",
        "methods=[sg2_w, pti]",
        "protocols.reconstruction.metrics[0]=psnr",
        "seed=3",
        "workers=2",
        "save_weights=true",
        "title=a=b",
    ]
    suite = load_suite("smoke", settings)
    assert suite.datasets[0].limit == 7 and suite.datasets[0].options == {"a": 1}
    assert suite.stage_settings["pivotal_tuning"] == {"steps": 3, "lr": 1e-4}
    assert suite.methods == ["sg2_w", "pti"] and suite.protocols["reconstruction"]["metrics"][:2] == ["psnr", "psnr"]
    assert (suite.seed, suite.workers, suite.save_weights, suite.title) == (3, 2, True, "a=b")
    assert load_suite("smoke", ["datasets[0].limit=null"]).datasets[0].limit is None
    assert load_suite("smoke").datasets[0].limit == 4, "an override must not reach a later load"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sed=1", "did you mean 'seed'"),
        ("stage_setting.w_optimization.steps=1", "did you mean 'stage_settings'"),
        ("datasets[0].limt=4", "'limt' is not a setting of a data set of a suite: did you mean 'limit'"),
        ("datasets[7].limit=4", "out of range"),
        ("datasets[0].methds=[pti]", "'methds' is not a setting of a data set of a suite: did you mean 'methods'"),
        ("datasets[0].methods=pti", "expected a list"),
        ("datasets[0].limit=many", "'many'"),
        ("datasets[0.limit=4", "datasets[0.limit"),
        ("datasets=[orl]", "DatasetEntry"),
        ("seed=x", "could not be converted to Integer"),
        ("batch_size=1.5", "could not be converted to Integer"),
        ("save_weights=maybe", "not a valid bool"),
        ("methods=pti", "expected a list"),
        ("seed=${nothing}", "'nothing' not found"),
        ("methods=[", "parsing"),
        ("seed", "not of the form key=value"),
        ("=3", "not of the form key=value"),
    ],
)
def test_wrong_override_is_named(override, said):
    message = refused(override)
    assert said in message and repr(override) in message and "\n" not in message


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("methods=[]", "`methods` is empty"),
        ("generator=''", "`generator` is empty"),
        ("methods=[pti, pti]", "method 'pti' is named twice"),
        ("datasets=[{name: orl}, {name: orl, limit: 2}]", "data set 'orl' is named twice"),
        ("batch_size=-1", "batch_size is -1, expected at least 0"),
        ("workers=-1", "workers is -1, expected at least 0"),
        ("stage_settings.w_optimization=3", "expected settings as key: value"),
        ("protocols.locality=3", "expected settings as key: value"),
    ],
)
def test_contradictions_are_named(override, said):
    assert said in refused(override)


def test_protocols_merge_by_name_and_leave_with_null():
    suite = load_suite("celeba64", ["protocols.editing.images=3", "protocols.occlusion=null"])
    assert suite.protocols["editing"]["images"] == 3 and suite.protocols["editing"]["reinversion_images"] == 4
    names = ["reconstruction", "set_distances", "interest_region", "locality", "latent", "editing"]
    assert list(suite.protocols) == names


def test_former_keys_say_the_same(written, caplog):
    former = """
generator: toy
methods: [pti]
datasets: [{name: orl}]
metrics: [mse, fid_inception_torchfidelity_256, psnr, mse_interest]
inline: [latent]
protocols: [occluded]
editing: {images: 4, directions: [yaw], again: 2, again_methods: [pti]}
"""
    suite = load_suite(written(former))
    assert suite.protocols == {
        "reconstruction": {"metrics": ["mse"]},
        "set_distances": {"metrics": ["fid_inception_torchfidelity_256"]},
        "reconstruction_3": {"protocol": "reconstruction", "metrics": ["psnr"]},
        "interest_region": {"metrics": ["mse_interest"]},
        "occlusion": {},
        "latent": {},
        "editing": {"images": 4, "directions": ["yaw"], "reinversion_images": 2, "reinversion_methods": ["pti"]},
    }
    overrides = ["metrics=[psnr]", "inline=[]", "protocols=[]", "editing.again=0"]
    suite = load_suite("celeba64", overrides)
    assert suite.protocols["reconstruction"] == {"metrics": ["psnr"]}
    assert list(suite.protocols) == ["reconstruction", "editing"]
    assert suite.protocols["editing"]["reinversion_images"] == 0 and suite.protocols["editing"]["images"] == 6
    assert sum("former keys" in record.message for record in caplog.records) <= 1


def test_a_method_may_have_settings_of_its_last_stage(written) -> None:
    name = "e4e+pti@steps=7@lr=0.1"
    suite = load_suite(str(written(f"base: smoke\nmethods: [{name}, pti]\n")))
    pipeline = load_pipeline(suite.methods[0], {"pivotal_tuning": {"steps": 3, "lr": 0.2, "stop_lpips": 0.5}})
    assert (pipeline.name, pipeline.title) == (name, "e4e + PTI (steps=7) (lr=0.1)")
    config = pipeline.stages[-1].config
    assert (config.steps, config.lr, config.stop_lpips) == (7, 0.1, 0.5)
    with pytest.raises(ConfigError, match="did you mean 'pti'"):
        load_suite("smoke", ["methods=[ptj@steps=7]"])
    with pytest.raises(ValueError, match="expected settings as METHOD@key=value"):
        load_pipeline("pti@steps")
    with pytest.raises(ValueError, match="did you mean 'steps'"):
        load_pipeline("pti@step=3")


def test_wrong_suite():
    assert "did you mean 'smoke'" in refused(suite="smok")
    assert "no suite file" in refused(suite="nowhere/suite.yaml")
    assert "unknown suite" in refused(suite="")


def test_file_over_base(written):
    suite = load_suite(
        written("base: smoke\nseed: 5\nstage_settings: {pivotal_tuning: {lr: 1e-3}}\n"), ["batch_size=2"]
    )
    assert isinstance(suite, SuiteConfig) and suite.generator == "toy"
    assert (suite.seed, suite.batch_size) == (5, 2)
    assert suite.stage_settings["pivotal_tuning"] == {"steps": 3, "lr": 1e-3}


def test_file_without_name_is_called_as_the_file(written):
    assert load_suite(written("generator: toy\nmethods: [pti]\ndatasets: [{name: orl}]\n")).name == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: smok\n", "unknown base 'smok': did you mean 'smoke'"),
        ("base: celeba64-full\n", "start from 'celeba64'"),
        ("base: [smoke]\n", "unknown base"),
        ("base: smoke\nsed: 1\n", "did you mean 'seed'"),
        ("base: smoke\ndatasets: [{name: orl, limt: 3}]\n", "did you mean 'limit'"),
        ("base: smoke\nseed: a\n", "could not be converted to Integer"),
        ("- smoke\n", "found a list"),
        ("methods: [\n", "parsing"),
        ("", "`methods` is empty"),
        ("\x00", "control characters"),
    ],
)
def test_wrong_file_is_named(text, said, written):
    path = written(text)
    message = refused(suite=path)
    assert said in message and path in message
