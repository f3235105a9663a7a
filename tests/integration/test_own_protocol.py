"""A protocol from a file beside the suite is stored, resumed and in the tables; in workers: test_out_of_tree.py."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.cli import main
from reports import build as report
from tests.integration.tiny_suite import four_pictures, world

__all__ = ["world"]  # fixtures
pytestmark = pytest.mark.assets

PROTOCOL = """
from dataclasses import dataclass

from benchmarks.protocols.base import Protocol, score_of
from benchmarks.protocols.inline import InlineProtocol
from metrics.base import MetricInfo, Undefined

BRIGHTNESS = MetricInfo("brightness_change", "Brightness", "lower", "", (0, None), 1, "|mean - mean|^p", "mine", 4)
LENGTH = MetricInfo("code_length", "Length of the code", "lower", "", (0, None), 1, "norm", "mine", 2)


@dataclass(frozen=True)
class Config:
    power: int = 1


class Brightness(Protocol):
    Config = Config

    def metrics(self):
        return {"brightness": [BRIGHTNESS]}

    def measure(self, run, items, device):
        for item in items:
            open(f"{run.out}/measured.txt", "a").write(item.image + "\\n")

            def change():
                if item.image == "p1":
                    raise Undefined("p1 has no brightness")
                if item.image == "p2":
                    raise TypeError("an error that nobody expects")
                target, image = run.target(item.stage_run, item.image), run.reconstruction(item.stage_run, item.image)
                return (target.mean() - image.mean()).abs() ** self.config.power

            yield score_of("brightness", BRIGHTNESS, item.image, change)


class CodeLength(InlineProtocol):
    def metrics(self):
        return {"codes": [LENGTH]}

    def values(self, generator, inversion, seed):
        return {"code_length": inversion.latent.norm()}
"""
SUITE = """
base: smoke
name: mine
methods: [sg2_w]
reference_method: ""
datasets:
  - {name: folder, options: {path: PATH/pictures, align: false}}
protocols:
  reconstruction: {metrics: [mse]}
  locality: null
  brightness: {protocol: "my_protocols:Brightness", power: 2}
  code_length: {protocol: "my_protocols:CodeLength"}
stage_settings:
  w_optimization: {steps: 2}
"""


@pytest.fixture
def suite(world: Path, tmp_path: Path) -> str:
    (tmp_path / "my_protocols.py").write_text(PROTOCOL)
    (tmp_path / "mine.yaml").write_text(SUITE.replace("PATH", str(tmp_path)))
    four_pictures(world, tmp_path / "pictures")
    return str(tmp_path / "mine.yaml")


def test_a_protocol_of_ones_own(suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.figures, "draw", lambda *_: [])
    out = tmp_path / "out"
    command = ["run", suite, "--out", str(out)]
    assert main(command) == 1, "one image failed"
    rows = pd.read_parquet(out / "results.parquet").set_index(["protocol", "image"])
    brightness = rows.loc["brightness"]
    assert set(brightness["metric"]) == {"brightness_change"}
    assert brightness["status"].to_dict() == {"p0": "ok", "p1": "undefined", "p2": "failed", "p3": "failed"}
    assert brightness.loc["p1", "reason"] == "p1 has no brightness"
    assert set(brightness.loc[["p2", "p3"], "reason"]) == {"TypeError: an error that nobody expects"}
    codes = rows.loc["codes"]
    assert len(codes) == 4 and set(codes["status"]) == {"ok"} and (codes["value"] > 0).all()
    text = (out / "report" / "tables.md").read_text()
    assert "protocol brightness" in text and "protocol codes" in text
    about = json.loads((out / "run.json").read_text())
    assert about["metrics"]["code_length"]["recipe"] == "norm"
    assert about["config"]["protocols"]["brightness"]["power"] == 2
    # What has a value, or cannot have one, is not measured again; what failed is.
    before = (out / "measured.txt").read_text().split()
    assert main(command) == 1
    assert sorted((out / "measured.txt").read_text().split()[len(before) :]) == ["p2"]


def test_its_settings_are_checked(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", suite, "protocols.brightness.powr=1", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "protocols.brightness: 'powr' is not a setting of the protocol: did you mean 'power'" in said
    assert not (tmp_path / "out" / "inversions").exists()
