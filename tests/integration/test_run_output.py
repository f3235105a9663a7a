"""What a run shows and leaves behind: progress, first means, the table at its end, folders instead of suites."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.cli import main
from benchmarks.cli.live import describe, duration, live, results_table
from benchmarks.cli.plan import scores_to_make
from benchmarks.engine import progress as progress_module
from benchmarks.engine.config import load_suite
from benchmarks.engine.costs import Cost, Costs, dumps, kind_of, measured
from benchmarks.engine.machine import device_name
from benchmarks.engine.plan import expand
from benchmarks.engine.progress import PHASES, Part, Progress, State
from benchmarks.engine.run import Run
from benchmarks.engine.store import read_lines
from benchmarks.engine.workers import Fleet, execute
from datasets.assets import AssetMissingError
from datasets.base import Manifest
from reports.frame import check
from tests.integration.tiny_suite import IMAGES, reference, suite, tables, world
from tests.unit.simulated_run import rows, run_json
from tests.unit.test_wandb_sink import logged

__all__ = ["reference", "suite", "world"]  # fixtures
pytestmark = pytest.mark.assets


def test_a_run_ends_with_a_table_and_a_line(suite, reference, capsys):
    assert main(["run", suite, "--out", str(reference)]) == 0
    *table, note, places = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[-2:]] == ["SG2", "PTI"] and "MSE ↓" in table[1]
    assert note.startswith("* best") and places.startswith(f"dashboard: {reference}/report/index.html  tables: ")
    assert len(table) == 4


def test_the_scores_that_are_planned_are_those_that_are_made(suite, reference):
    files = reference.glob("scores/*/*.jsonl")
    made = sum(len({row["image"] for row in read_lines([path])}) for path in files)
    assert scores_to_make(expand(load_suite(suite))) == made > 0


def offline() -> Manifest:
    raise AssetMissingError("the photographs are not here; run fetch")


def test_an_absent_data_set_is_left_out_and_the_rest_runs(suite, reference, tmp_path, capsys):
    shutil.copytree(reference, tmp_path / "copy")
    words = Path(suite).read_text().replace("datasets:\n", f"datasets:\n  - {{name: '{__name__}:offline'}}\n")
    (tmp_path / "tiny.yaml").write_text(words)
    assert main(["run", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "copy"), "--replace"]) == 1
    told = capsys.readouterr()
    assert "offline is left out: the photographs are not here; run fetch" in told.err and "PTI" in told.out
    assert "| left out | the photographs are not here; run fetch |" in (
        tmp_path / "copy/report/tables.md"
    ).read_text().replace(r"\_", "_")


def test_quiet_and_json(suite, reference, capsys):
    assert main(["report", suite, "--out", str(reference), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["report", str(reference), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["results"]["folder"]["pti"]["mse"]["n"] == IMAGES and found["failed_images"] == {}
    assert found["files"]["tables"] == str(reference / "report" / "tables.md")
    assert main(["plan", suite, "--out", str(reference), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 0
    assert main(["list", "suites", "--json"]) == 0
    assert "smoke" in json.loads(capsys.readouterr().out)


def test_a_folder_is_reported_as_it_is(suite, reference, tmp_path, capsys):
    shutil.copytree(reference, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "report")
    assert main(["report", str(tmp_path / "copy")]) == 0
    assert tables(tmp_path / "copy") == tables(reference)
    assert main(["status", str(tmp_path / "copy")]) == 0
    assert "complete" in capsys.readouterr().out
    (tmp_path / "copy" / "results.parquet").write_bytes(b"torn")
    for command in ("report", "status"):
        assert main([command, str(tmp_path / "copy")]) == 2
        assert capsys.readouterr().err.startswith("error: cannot read ")


def test_a_partial_run_says_not_yet(suite, tmp_path, capsys):
    assert main(["run", suite, "--shard", "0/2", "--out", str(tmp_path)]) == 0
    assert "rows that are not there yet" in capsys.readouterr().err
    text = (tmp_path / "report" / "tables.md").read_text()
    assert "not run yet" in text and "images failed" not in text
    assert main(["status", suite, "--out", str(tmp_path)]) == 0, "all is well so far"
    assert "not running; the same `run` resumes it" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "report")
    (tmp_path / "results.parquet").unlink()
    assert main(["status", str(tmp_path)]) == 0
    assert "w_optimization" in capsys.readouterr().out


def test_progress_while_it_inverts(suite, tmp_path, reference, monkeypatch):
    monkeypatch.setattr(progress_module, "SCORED_EVERY", 0.0)
    monkeypatch.setattr(progress_module, "WRITTEN_EVERY", 0.0)
    run, seen = Run(expand(load_suite(suite, ["workers=1", "batch_size=1"])), tmp_path), []

    def show(state: State) -> None:
        stored = progress_module.read(tmp_path)
        seen.append((state.phase, state.done, state.total, state.left, state.means, stored))

    progress = Progress(run, show)
    execute(run, suite, [], "missing", Fleet(workers=1), progress)
    dones = [done for phase, done, *_ in seen if phase == "inverting"]
    assert dones == sorted(dones) and dones[-1] == seen[-1][2] > 0
    assert any(left for _, done, total, left, *_ in seen if 0 < done < total)
    first = next(place for place, state in enumerate(seen) if state[4])
    assert dones[first] < dones[-1], "means appear before everything is inverted"
    mean, n = progress_module.means(run)["folder"]["sg2_w"]["mse"]
    assert n == IMAGES and mean > 0
    stored = next(each for *_, each in reversed(seen) if each is not None)
    assert stored.phase == "inverting" and stored.means["folder"]["sg2_w"]["mse"][0] > 0, "what W&B is told"
    progress.close()
    assert progress_module.read(tmp_path) is None
    main(["score", suite, "--out", str(tmp_path)])
    assert tables(tmp_path) == tables(reference), "scoring early changes nothing"
    phases = list(read_lines([tmp_path / PHASES]))
    assert all(row["kind"] == "scoring" and row["items"] for row in phases)


@pytest.mark.slow
def test_a_run_is_logged_while_it_goes_on(suite, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setattr(progress_module, "SCORED_EVERY", 0.0)
    monkeypatch.setattr(progress_module, "WRITTEN_EVERY", 0.0)
    out, steps = tmp_path / "out", "stage_settings.w_optimization.steps=100"
    assert main(["run", suite, steps, "batch_size=1", "--workers", "1", "--wandb", "offline", "--out", str(out)]) == 0
    runs = logged(out / "wandb")
    assert set(runs) == {"out", "SG2 W", "PTI"} and all(run["exit"] == 0 for run in runs.values())
    history = [row for row in runs["out"]["history"] if "images" in row]
    assert {"inverting", "reporting"} <= {row["progress/phase"] for row in history}
    assert any("first_means/folder/mse/sg2_w" in row for row in history)
    images = [row["images"] for row in history]
    assert images == sorted(images) and images[-1] > 0


def test_time_left_comes_from_what_each_method_took(suite, tmp_path):
    progress = Progress(Run(expand(load_suite(suite)), tmp_path), early=False)
    slow, fast = Part("slow", "set", 10, "slow"), Part("fast", "set", 10, "fast", expected=2.0)
    progress.begin("inverting", {"a": slow, "b": fast}, workers=2)
    assert progress.left() is None, "nobody knows the slow one yet"
    slow.done, slow.seconds = 1, 4.0
    assert progress.left() == (9 * 4 + 10 * 2) / 2
    fast.done, fast.seconds = 10, 10.0
    assert progress.left() == 9 * 4 / 2
    assert describe(State("inverting", 11, 20, 18.0, "slow on set")) == "inverting 11 of 20, 18 s left: slow on set"
    assert [duration(seconds) for seconds in (5, 360, 7800, None)] == ["5 s", "6 min", "2 h 10 min", "unknown"]


def test_plan_estimates_from_what_was_measured(suite, reference, tmp_path, capsys):
    known = measured(reference)
    plan = expand(load_suite(suite))
    kind = kind_of(plan.stage_runs[0].stage.identity())
    found = known.find(device_name(), plan.generator_hash, kind)
    assert found is not None and found[1] and found[0].items >= IMAGES
    other = known.find(device_name(), plan.generator_hash, kind.partition(":")[0] + ":other")
    assert other is not None and not other[1], "other settings are rough"
    assert known.find("a GPU", plan.generator_hash, kind) is None
    costs = Costs([Cost("cpu", "g", "a:1", 1.0, 5.0, 1), Cost("cpu", "g", "a:1", 4.0, 7.0, 2)])
    (entry,) = json.loads(dumps(costs))
    assert entry["seconds"] == 3.0 and entry["memory"] == 7 and entry["items"] == 3
    shutil.copytree(reference, tmp_path / "more")
    assert main(["plan", suite, "batch_size=3", "seed=1", "--out", str(tmp_path / "more")]) == 0
    said = capsys.readouterr().out
    assert "  about " in said and "MB on disk" in said and "GB of memory" in said


def test_live_view_is_silent_where_it_is_quiet(capsys):
    with live(quiet=True) as show:
        show(State("inverting", 1, 2))
    assert capsys.readouterr() == ("", "")


def test_demo_of_pictures_without_a_face(tmp_path, capsys, monkeypatch, world):
    monkeypatch.chdir(tmp_path)
    picture = Path(world) / "pictures" / "p0.png"
    assert main(["demo", str(picture), "--no-open", "--device", "cpu"]) == 1
    out, err = capsys.readouterr()
    assert "p0: " in out and "face" in out and "Traceback" not in err


def test_data_sets_that_do_not_fit_get_a_table_each(capsys):
    names = [f"faces{n}" for n in range(9)]
    run = run_json(12)
    run["datasets"] = {name: run["datasets"]["faces"] | {"title": f"{name}, a long title"} for name in names}
    one = check(Path(), run | {"datasets": {"faces0": run["datasets"]["faces0"]}}, rows(12).assign(dataset="faces0"))
    results_table(one)
    assert capsys.readouterr().out.splitlines()[0].split() == ["faces0"]
    results_table(check(Path(), run, pd.concat([rows(12).assign(dataset=name) for name in names])))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.endswith("a long title")] == [f"{name}, a long title" for name in names]
    assert sum(line.startswith("Title of plain") for line in lines) == 9
