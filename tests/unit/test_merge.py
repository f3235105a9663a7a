from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cli import main
from benchmarks.engine.merge import merge
from benchmarks.engine.plan import digest
from benchmarks.engine.store import InversionStore, JsonLines, read_lines
from benchmarks.engine.types import STORE_VERSION
from benchmarks.errors import ConfigError
from methods.base import Inversion

STAGE = {"stage": "w_optimization", "version": 1, "config": {"steps": 4, "lr": 0.1}}


def stage_run(
    root: Path, stages: list[dict[str, Any]] | None = None, images: str = "k", **changes: Any
) -> InversionStore:
    """A stage run's folder as the runner describes it."""
    what = {
        "stages": stages or [STAGE],
        "dataset": "orl",
        "seed": 0,
        "generator": "g" * 64,
        "parent": None,
        "store": STORE_VERSION,
    } | changes
    key = digest([what, images])
    store = InversionStore(root, key)
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / "stage.json").write_text(json.dumps(what | {"key": key}), encoding="utf-8")
    return store


def done(store: InversionStore, image: str, shade: float, attempt: int = 1, torch_version: str = "2.15.0") -> None:
    """An ok image of one colour, and its score."""
    one = Inversion(
        ids=(f"orl/{image}",), latent=torch.full((1, 2, 3), shade), space="w",
        image=torch.full((1, 3, 4, 4), shade), steps=torch.tensor([4]), weights=(None,), noise=(None,),
    )  # fmt: skip
    store.save(image, one, keep_weights=False)
    note(store, image, "ok", attempt, torch_version)
    stamp = store.picture(image).stat().st_mtime_ns
    path = store.folder.parents[1] / "scores" / store.folder.name / "mse-v1.jsonl"
    JsonLines(path).append({"image": image, "stamp": stamp, "value": shade, "reason": ""})


def note(store: InversionStore, image: str, status: str, attempt: int = 1, torch_version: str = "2.15.0") -> None:
    row = {"image": image, "status": status, "reason": "" if status == "ok" else "no", "attempt": attempt,
           "seconds": 1.0, "provenance": {"torch": torch_version, "device": "cpu"}}  # fmt: skip
    store.writer().append(row)


def shade(store: InversionStore, image: str) -> float:
    return float(store.load(image, image).latent.flatten()[0])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_union_of_two_shards_is_complete_and_merging_again_changes_nothing(tmp_path: Path) -> None:
    for place, image in enumerate(("s01", "s02", "s03")):
        done(stage_run(tmp_path / "ab"[place % 2]), image, place / 4)
    stage_run(
        tmp_path / "b", [STAGE, {**STAGE, "stage": "pivotal_tuning"}]
    )  # a stage run that one machine only has begun
    found = merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])
    assert (found.stage_runs, found.images, found.scores, found.conflicts) == (2, 3, 3, [])
    whole = stage_run(tmp_path / "all")
    assert {image: row.status for image, row in whole.rows().items()} == dict.fromkeys(("s01", "s02", "s03"), "ok")
    assert [shade(whole, image) for image in ("s01", "s02", "s03")] == [0.0, 0.25, 0.5]
    for row in read_lines(list((tmp_path / "all" / "scores").rglob("*.jsonl"))):
        assert row["stamp"] == whole.picture(row["image"]).stat().st_mtime_ns  # nothing has to be scored again
    before = contents(tmp_path / "all")
    again = merge(tmp_path / "all", [tmp_path / "b", tmp_path / "a"])
    assert (again.stage_runs, again.images, again.scores) == (0, 0, 0) and contents(tmp_path / "all") == before


def test_what_two_machines_did_is_decided_as_the_store_decides_and_reported(tmp_path: Path) -> None:
    a, b = stage_run(tmp_path / "a"), stage_run(tmp_path / "b")
    done(a, "equal", 0.5), done(b, "equal", 0.5)
    done(a, "first", 0.1), done(b, "first", 0.2)
    done(a, "later", 0.1, attempt=1), done(b, "later", 0.2, attempt=2)
    note(a, "saved", "failed", attempt=3), done(b, "saved", 0.3, attempt=1)
    note(a, "lost", "failed", attempt=1), note(b, "lost", "failed", attempt=2)
    found = merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])
    whole = stage_run(tmp_path / "all")
    assert shade(whole, "first") == pytest.approx(0.1) and shade(whole, "later") == pytest.approx(0.2)
    assert shade(whole, "saved") == pytest.approx(0.3)
    assert {image: (row.status, row.attempt) for image, row in whole.rows().items()} == {
        "equal": ("ok", 1), "first": ("ok", 1), "later": ("ok", 2), "saved": ("ok", 1), "lost": ("failed", 2),
    }  # fmt: skip
    said = re.compile(r".*/(\w+): kept .*/(\w), differs from .*/(\w)")
    assert [said.sub(r"\1 \2 \3", line) for line in found.conflicts] == ["first a b", "later b a"]
    scores = {row["image"]: row["value"] for row in read_lines(list((tmp_path / "all" / "scores").rglob("*.jsonl")))}
    assert scores == {"equal": 0.5, "first": 0.1, "later": 0.2, "saved": 0.3}


def test_results_are_merged_into_a_folder_that_has_some(tmp_path: Path) -> None:
    ours, theirs = stage_run(tmp_path / "ours"), stage_run(tmp_path / "theirs")
    done(ours, "kept", 0.1), done(theirs, "kept", 0.9)
    note(ours, "mended", "failed"), done(theirs, "mended", 0.4, torch_version="2.16.0")
    found = merge(tmp_path / "ours", [tmp_path / "theirs"])
    assert (found.images, len(found.conflicts)) == (1, 1) and found.measured_with["torch"] == {"2.15.0", "2.16.0"}
    assert shade(ours, "kept") == pytest.approx(0.1) and shade(ours, "mended") == pytest.approx(0.4)


def made(store: InversionStore, image: str, count: int = 1) -> None:
    """What editing makes of an image."""
    folder = store.folder.parents[1] / "edits" / store.folder.name
    stamps = [store.picture(image).stat().st_mtime_ns, 0]
    JsonLines(folder / "rows-a.jsonl").append(
        {"image": image, "stamps": stamps, "digest": "d", "made": count, "seconds": 1.0}
    )
    for name in (f"{image}.png", f"{image}.interpolation.png"):
        (folder / name).write_text(image)


def test_images_that_protocols_made_are_merged_once(tmp_path: Path) -> None:
    a, b = stage_run(tmp_path / "a"), stage_run(tmp_path / "b")
    done(a, "s1", 0.1), done(b, "s1.x", 0.2)
    merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])
    made(a, "s1"), made(b, "s1.x")
    found = merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])
    assert (found.images, found.made) == (0, 2)
    folder = tmp_path / "all" / "edits" / a.folder.name
    assert {row["image"] for row in read_lines(sorted(folder.glob("rows-*")))} == {"s1", "s1.x"}
    names = {"s1.png", "s1.interpolation.png", "s1.x.png", "s1.x.interpolation.png"}
    assert {path.name for path in folder.glob("*.png")} == names
    before = contents(tmp_path / "all")
    assert merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"]).made == 0 and contents(tmp_path / "all") == before


def test_a_row_without_its_files_is_not_taken(tmp_path: Path) -> None:
    a = stage_run(tmp_path / "a")
    done(a, "torn", 0.5)
    os.truncate(a.picture("torn"), 0)
    done(a, "whole", 0.5)
    assert merge(tmp_path / "all", [tmp_path / "a"]).images == 1
    assert set(stage_run(tmp_path / "all").rows()) == {"whole"}


CHANGED = {**STAGE, "config": {"steps": 9, "lr": 0.1}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": "h" * 64}, "generators differ: gggggggggggg in .*a; hhhhhhhhhhhh in .*b"),
        ({"seed": 1}, "seeds differ: 0 in .*a; 1 in .*b"),
        ({"stages": [{**STAGE, "version": 2}]}, "versions of stage w_optimization differ: 1 in .*; 2 in "),
        ({"images": "others"}, "images of orl .* differ: "),
        ({"stages": [CHANGED]}, "settings of w_optimization on orl differ: .*--across settings"),
    ],
)
def test_mixed_recipes_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    done(stage_run(tmp_path / "a"), "s01", 0.5)
    done(stage_run(tmp_path / "b", **changes), "s02", 0.5)
    with pytest.raises(ConfigError, match=message):
        merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])
    assert not (tmp_path / "all").exists()


def test_variants_of_one_suite_and_settings_on_request_are_merged(tmp_path: Path) -> None:
    for stages in ([STAGE], [CHANGED]):
        done(stage_run(tmp_path / "a", stages), "s01", 0.5)
    done(stage_run(tmp_path / "b"), "s02", 0.5)
    assert merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"]).images == 3
    done(stage_run(tmp_path / "c", [{**STAGE, "config": {"steps": 7}}]), "s01", 0.5)
    with pytest.raises(ConfigError, match="settings"):
        merge(tmp_path / "all", [tmp_path / "c"])
    assert merge(tmp_path / "all", [tmp_path / "c"], across=["settings"]).images == 1


def test_what_an_older_state_of_the_code_left_in_a_folder_does_not_stop_a_merge(tmp_path: Path) -> None:
    done(stage_run(tmp_path / "a", [{**STAGE, "version": 0}]), "s01", 0.1)
    done(stage_run(tmp_path / "a"), "s01", 0.2)
    done(stage_run(tmp_path / "b"), "s02", 0.3)
    assert merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"]).images == 3
    assert set(stage_run(tmp_path / "all").rows()) == {"s01", "s02"}


def test_the_command_reports_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done(stage_run(tmp_path / "a"), "s01", 0.1), done(stage_run(tmp_path / "b"), "s01", 0.2)
    done(stage_run(tmp_path / "b"), "s02", 0.2, torch_version="2.16.0")
    (tmp_path / "empty").mkdir()
    assert main(["merge", str(tmp_path / "all"), str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said, notes = capsys.readouterr()
    assert "2 images, 2 scores and 0 edited images merged" in said
    assert "1 images differ between the folders" in notes and "/s01: kept" in notes
    assert "different torch: 2.15.0, 2.16.0" in notes and "--resume none" in notes
    assert main(["merge", str(tmp_path / "all"), str(tmp_path / "empty")]) == 2
    assert main(["merge", str(tmp_path / "a"), str(tmp_path / "a")]) == 2
    assert "no results there" in capsys.readouterr().err
