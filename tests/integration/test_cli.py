"""The commands from end to end on the toy generator: equal tables however a suite is run."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from PIL import Image

from benchmarks.cli import main
from benchmarks.engine.export import SCHEMA
from reports import build as report
from reports.frame import COSTS
from tests.integration.tiny_suite import FACES, IMAGES, INVERTED, TABLES, reference, rows, states, suite, tables, world

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = pytest.mark.assets


def test_shipped_smoke_suite(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report.figures, "draw", lambda *_: [])
    assert main(["run", "smoke", "datasets.0.limit=2", "--out", str(tmp_path / "out")]) == 0
    assert "tables.md" in capsys.readouterr().out
    frame = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert set(frame["method"]) == {"sg2_w", "sg2_w_plus", "pti"} and set(frame["dataset"]) == {"orl"}
    tuned = frame[(frame["protocol"] == "locality") & (frame["method"] == "pti")]
    assert len(tuned) == 8 and (tuned["status"] == "ok").all() and (tuned["value"] >= 0).all()
    plain = frame[(frame["protocol"] == "locality") & (frame["method"] == "sg2_w")]
    assert set(plain["reason"]) == {"the generator is not tuned"} and set(plain["status"]) == {"skipped"}


def test_results_are_laid_out_as_said(reference):
    frame = pd.read_parquet(reference / "results.parquet")
    assert {name: str(kind) for name, kind in frame.dtypes.items()}.keys() == SCHEMA.keys()
    # Metrics, costs and locality of every inversion, and the protocol's four metrics of every occluded face.
    assert len(frame.astype(SCHEMA)) == INVERTED * (2 + len(COSTS) + 4) + FACES * 4
    measured = frame[frame["metric"].isin(["mse", "psnr", *COSTS])]
    assert (measured["status"] == "ok").all() and (measured["value"] > 0).all()
    key = ["suite", "method", "dataset", "image", "protocol", "metric"]
    assert not frame.duplicated(key).any()
    assert (reference / "run.json").exists() and set(tables(reference)) == set(TABLES)
    for n in range(IMAGES):
        names = {path.name for path in (reference / "images" / "folder" / f"p{n}").iterdir()}
        assert names == {"target.png", "sg2_w.png", "pti.png"}
    assert not [p for p in reference.rglob("*") if p.name.startswith(".")], "temporary files remain"


def test_the_same_again_is_byte_equal_whatever_the_batch(reference, suite, tmp_path):
    assert main(["run", suite, "--out", str(tmp_path), "batch_size=1"]) == 0
    assert tables(tmp_path) == tables(reference)
    ours, theirs = (pd.read_parquet(out / "results.parquet") for out in (tmp_path, reference))
    same = ~theirs["metric"].isin(list(COSTS))
    assert ours["value"][same].equals(theirs["value"][same])


def test_a_finished_run_does_nothing_again(reference, suite):
    before, written = tables(reference), rows(reference)
    assert main(["run", suite, "--out", str(reference)]) == 0
    assert tables(reference) == before and rows(reference) == written


def test_shards_add_up(suite, tmp_path, reference, capsys):
    for shard in ("0/2", "1/2"):
        words = ["--shard", shard, "--phase", "invert", "--workers", "2"]
        assert main(["run", suite, "--out", str(tmp_path), *words]) == 0
        assert "--phase and --shard work in this process alone: start it 2 times" in capsys.readouterr().err
        assert not (tmp_path / "report").exists()
    assert main(["status", suite, "--out", str(tmp_path)]) == 0
    assert main(["report", suite, "--out", str(tmp_path)]) == 0
    assert "not scored yet" in (tmp_path / "report" / "tables.md").read_text()
    assert main(["score", suite, "--out", str(tmp_path)]) == 0
    assert main(["report", suite, "--out", str(tmp_path)]) == 0
    assert tables(tmp_path) == tables(reference)


def test_picture_that_no_set_can_take_is_a_failed_row(world, suite, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (64, 48)).save(pictures / "wide.png")
    shutil.copy(world / "pictures" / "p0.png", pictures)
    arguments = ["run", suite, f"datasets[0].options.path={pictures}", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "64x48 px" in (tmp_path / "out" / "report" / "tables.md").read_text()
    assert {"ok", "failed"} <= set(states(tmp_path / "out"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "smok"], "did you mean 'smoke'"),
        (["plan", "smok"], "did you mean 'smoke'"),
        (["run", "smoke", "sed=1"], "did you mean 'seed'"),
        (["run", "smoke", "protocols.localty={}"], "did you mean 'locality'"),
        (["run", "smoke", "--shard", "2/2"], "--shard must be i/n"),
        (["run", "smoke", "--shard", "half"], "--shard must be i/n"),
        (["run", "smoke", "--shard", "0/0"], "--shard must be i/n"),
        (["run", "smoke", "stage_settings.pivotal_tuning.stepz=1"], "did you mean 'steps'"),
        (["run", "smoke", "datasets=[{name: folder, options: {path: /nowhere}}]"], "is not a folder"),
        (["fetch", "nothing"], "unknown asset or suite 'nothing'"),
        (["plan", "smoke", "--set", "a=1"], "unknown option '--set'"),
    ],
)
def test_wrong_configuration_starts_nothing(arguments, said, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*arguments, *(["--out", str(out)] if arguments[0] != "fetch" else [])]) == 2
    found = capsys.readouterr().err
    assert found.splitlines()[-1].startswith("error: ") and said in found and not out.exists()


def test_output_that_cannot_be_written(suite, tmp_path, capsys):
    taken = tmp_path / "file"
    taken.write_text("in the way")
    assert main(["run", suite, "--out", str(taken / "out")]) == 2
    assert "choose another folder with --out" in capsys.readouterr().err and taken.read_text() == "in the way"


def test_plan_and_status_tell_and_write_nothing(suite, tmp_path, reference, capsys):
    assert main(["plan", suite, "--out", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert f"data set folder: {IMAGES} images" in said and "w_optimization + pivotal_tuning" in said
    assert main(["status", suite, "--out", str(tmp_path / "new")]) == 0
    assert f"missing     {IMAGES}" in capsys.readouterr().out and not (tmp_path / "new").exists()
    assert main(["plan", suite, "--out", str(reference)]) == 0
    assert f"{IMAGES} done" in capsys.readouterr().out
    assert main(["status", suite, "--out", str(reference)]) == 0
    assert f"ok     {IMAGES}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("methods", "w_plus_pti"),
        ("datasets", "openpeople"),
        ("metrics", "lpips_vgg"),
        ("suites", "celeba64-full"),
        ("assets", "lpips_alex"),
    ],
)
def test_list(what, name, capsys):
    assert main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[0] == name and len(line.split()) > 1 for line in lines)


def test_fetch_of_what_is_there(world, capsys):
    assert main(["fetch", "lpips_alex"]) == 0
    said = capsys.readouterr().out
    assert "licence: BSD" in said and str(world / "cache") in said
