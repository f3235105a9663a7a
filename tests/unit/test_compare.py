from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.cli import main
from reports.compare import RecipeError, compare
from reports.frame import Results, check
from reports.verdicts import verdicts
from tests.unit.simulated_run import lose, rows, run_json, write


def run(frame: pd.DataFrame | None = None, **changes: Any) -> Results:
    """A run; changes are values at a path of run.json, e.g. metrics__error_a__version=3."""
    about = run_json(12)
    about["metrics"] = {name: dict(info) for name, info in about["metrics"].items()}
    for path, value in changes.items():
        *keys, last = path.split("__")
        place: Any = about
        for key in keys:
            place = place[key]
        place[last] = value
    return check(Path("/nowhere"), about, rows(12) if frame is None else frame)


def shifted(by: float, method: str = "fine", metric: str = "error_a", images: str = "im") -> pd.DataFrame:
    frame = rows(12)
    chosen = (frame["method"] == method) & (frame["metric"] == metric) & frame["image"].str.startswith(images)
    frame.loc[chosen, "value"] += by
    return frame


def differences(text: str) -> list[list[str]]:
    section = text.split("## Differences")[1].split("<details>")[0]
    return [[part.strip() for part in line.strip("|").split("|")] for line in section.splitlines()
            if line.startswith("| faces")]  # fmt: skip


def test_a_run_is_identical_to_itself() -> None:
    text = compare(run(), run())
    assert "better in 0, worse in 0, not distinguishable in 0, identical in 6" in text and "by chance alone" not in text
    assert differences(text) == [] and "None." in text


def test_a_change_is_listed_with_its_interval_and_direction() -> None:
    text = compare(run(), run(shifted(0.05)))
    (line,) = differences(text)
    assert line[2:4] == ["fine", "Error A ↓"] and line[8] == "worse" and line[7] == "0/12"
    assert re.fullmatch(r"\\\+0\.0500 \\\[\+0\.0500, \+0\.0500\\\]", line[6])
    assert differences(compare(run(), run(shifted(-0.05))))[0][8] == "better"
    assert differences(compare(run(), run(shifted(-0.05, metric="gain_b"))))[0][8] == "worse"
    text = compare(run(), run(shifted(0.05, images="im001")))
    assert differences(text) == [] and "not distinguishable in 1" in text and "0.1 of 1 differences" in text


def test_verdicts_that_only_one_run_gives_are_counted_and_listed() -> None:
    """plain is the reference; fine has lower errors than it in both runs until it is made as bad, or worse."""
    assert "Of 4 differences to Title of plain in both runs, 0 (0.0%)" in compare(run(), run())
    assert [one.a for one in verdicts(run(), run())] == ["better"] * 4
    undone = compare(run(), run(shifted(0.2)))
    assert "1 (25.0%) are called better or worse in one run only; 0 are reversed" in undone
    assert "| faces | standard | fine | error_a | better | not distinguishable |" in undone.replace("\\", "")
    assert "; 1 are reversed" in compare(run(), run(shifted(0.4)))
    other = run(config={"reference_method": "fine"})
    assert "differences to Title of fine" in compare(other, other)


def test_other_processors_are_a_warning() -> None:
    assert "Warning" not in compare(run(), run())
    text = compare(run(), run(rows(12).assign(machine="Some CPU, AVX512")))
    assert "different processors" in text and "Some CPU, AVX512" in text
    assert "Warning" not in compare(run(), run(rows(12).drop(columns="machine")))  # rows of an earlier version


def test_pairs_are_images_ok_in_both_and_the_others_are_counted() -> None:
    frame = shifted(0.05)
    lose(frame, "fine", lambda image: image < "im003", "no face")
    text = compare(run(), run(frame))
    (line,) = differences(text)
    assert line[7] == "0/9" and line[9:] == ["3", ""]
    assert "Values in one run only: 6 in A, 0 in B." in text
    lost = rows(12)
    lose(lost, "twin", lambda image: True, "out of memory")
    assert "no image is ok in both in 2" in compare(run(), run(lost))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics__gain_b__recipe": "peak 1"}, "recipe of metric gain_b is 'peak 2' in A, 'peak 1' in B"),
        ({"metrics__gain_b__direction": "lower"}, "direction of metric gain_b"),
        ({"datasets__faces__key": "other"}, "key of data set faces is 'k' in A, 'other' in B"),
        ({"datasets__faces__n": 13}, "n of data set faces is 12 in A, 13 in B"),
    ],
)
def test_other_metrics_and_images_are_always_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)) as error:
        compare(run(), run(**changes), across=("generators", "settings", "seeds"))
    assert "--across" not in str(error.value)


def test_another_version_of_a_metric_is_refused() -> None:
    frame = rows(12)
    frame.loc[frame["metric"] == "error_a", "metric_version"] = 3
    with pytest.raises(RecipeError, match="version of metric error_a is 2 in A, 3 in B"):
        compare(run(), run(frame, metrics__error_a__version=3))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"generator__sha256": "11aa"}, "generators", "the generator is 00ff in A, 11aa in B"),
        ({"methods__fine__stages": ["fine", "more"]}, "settings", "stages of method fine"),
    ],
)
def test_generator_and_settings_are_refused_unless_asked_for(changes: dict[str, Any], kind: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"{re.escape(message)}.*--across {kind}"):
        compare(run(), run(**changes))
    assert f"Compared across {kind}: {message}" in compare(run(), run(**changes), across=[kind])


def test_settings_are_read_from_the_identity_and_versions_may_differ() -> None:
    stage = {"stage": "w", "version": 1, "config": {"lr": 0.1, "steps": 5}}
    newer = {**stage, "version": 2}
    other = {**newer, "config": {"lr": 0.2, "steps": 5}}
    frame = rows(12)
    frame.loc[frame["method"] == "fine", "method_version"] = 2
    left = run(methods__fine__identity=[stage])
    assert "| version of fine | 1 | 2 |" in compare(left, run(frame, methods__fine__identity=[newer]))
    with pytest.raises(RecipeError, match=r"w\.lr of method fine is 0\.1 in A, 0\.2 in B"):
        compare(left, run(frame, methods__fine__identity=[other]))


def test_seeds_have_to_agree() -> None:
    frame = rows(12).assign(seed=1)
    with pytest.raises(RecipeError, match=r"the seeds are \[0\] in A, \[1\] in B.*--across seeds"):
        compare(run(), run(frame))
    assert "Compared across seeds" in compare(run(), run(frame), across=["seeds"])


def test_runs_that_share_nothing_are_refused() -> None:
    frame = rows(12, {"stranger": 0.4})
    about = run_json(12, {"stranger": {"title": "S"}})
    with pytest.raises(RecipeError, match="share no method"):
        compare(run(), check(Path(), about, frame))


def test_what_only_one_run_has_is_named() -> None:
    frame = rows(12)
    fewer = run(frame[frame["method"] != "twin"])
    fewer.run["methods"] = {name: info for name, info in fewer.run["methods"].items() if name != "twin"}
    text = compare(run(), fewer)
    assert "Only in A: twin." in text and "Only in B" not in text and "Of 4 comparisons" in text


def test_costs_are_compared_on_one_device_only() -> None:
    slow = rows(12, seconds=2.0)
    costs = compare(run(), run(slow)).split("## Costs")[1]
    assert re.search(r"\| plain \| time \(s\) ↓ \| 1\.000 \| 2\.000 \|.*\| worse \|", costs)
    slow.loc[slow["method"] == "plain", "device"] = "cuda"
    costs = compare(run(), run(slow)).split("## Costs")[1]
    assert not re.search(r"\| plain \|", costs) and re.search(r"\| fine \| time", costs)
    said = r"Costs of plain on faces are not compared: measured on cpu, float32, batch size 8 against cuda, float32"
    assert said in costs


def test_the_same_text_twice_and_names_stay_text() -> None:
    assert compare(run(), run(shifted(0.1))) == compare(run(), run(shifted(0.1).sample(frac=1, random_state=1)))
    hostile = run(datasets__faces__title="</summary><script>alert(1)</script>")
    assert "<script" not in compare(hostile, hostile)


def test_the_command_prints_writes_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = write(tmp_path / "a", rows(12), run_json(12))
    right = write(tmp_path / "b", shifted(0.05), run_json(12))
    other = run_json(12)
    other["datasets"]["faces"]["key"] = "other images"
    wrong = write(tmp_path / "c", rows(12), other)
    assert main(["compare", str(left), str(right)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# Comparison of B with A") and str(tmp_path) not in printed
    assert main(["compare", str(left), str(right), "--out", str(tmp_path / "pr.md")]) == 0
    assert (tmp_path / "pr.md").read_text(encoding="utf-8") == printed
    assert main(["compare", str(left), str(wrong), "--out", str(tmp_path / "no.md")]) == 2
    assert "key of data set faces" in capsys.readouterr().err and not (tmp_path / "no.md").exists()
    assert main(["compare", str(left), str(tmp_path / "nothing")]) == 2
