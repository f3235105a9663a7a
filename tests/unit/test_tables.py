from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import latex, markdown, tables_csv
from reports.frame import ReportError, Results, check, read
from reports.table import Cell, Table, letter, number
from reports.tabulate import costs, means, paired
from tests.unit.simulated_run import lose, rows, run_json

HOSTILE = [
    "a|b", "<script>alert(1)</script>", "`x`", r"\input{/etc/passwd}", "100% & more_#1", "$x^2$", "two\nlines", "{",
    "}", "[link](javascript:alert(1))", "~^\\", "**bold**", "名前", "[2pt]", "*", "-- + =",
]  # fmt: skip


def results(frame: pd.DataFrame, n: int = 20) -> Results:
    return check(Path(), run_json(n), frame)


def cell(table: Table, method: str, column: str) -> Cell:
    return next(cell for row, col, cell in table.cells() if (row.method, col.name) == (method, column))


def test_a_complete_column_prints_means_over_all_images() -> None:
    frame = rows(20)
    table = means(results(frame), "faces", "standard")
    mine = frame[(frame["method"] == "plain") & (frame["metric"] == "error_a")]["value"]
    found = cell(table, "plain", "error_a")
    assert found.value == pytest.approx(mine.mean(), abs=1e-12)
    assert (found.n, found.expected, found.failures, found.partial, found.reason) == (20, 20, 0, False, "")
    assert "†" not in markdown.table(table) and "n/a" not in markdown.table(table)


def test_best_is_bold_with_its_ties_and_the_second_underlined() -> None:
    table = means(results(rows(20)), "faces", "standard")
    assert [cell(table, name, "error_a").mark for name in ("plain", "fine", "twin")] == ["second", "best", "best"]
    assert [cell(table, name, "gain_b").mark for name in ("plain", "fine", "twin")] == ["second", "best", "best"]
    text = markdown.table(table)
    assert "Error A ↓" in text and "Gain B (dB) ↑" in text
    assert text.count("**") == 8 and text.count("<ins>") == 2
    assert latex.table(table).count(r"\textbf{") == 4 and latex.table(table).count(r"\underline{") == 2


def test_a_failed_image_leaves_the_common_subset_with_n_and_a_dagger() -> None:
    frame = rows(20)
    lose(frame, "fine", lambda image: image < "im003", "no face")
    table = means(results(frame), "faces", "standard")
    whole = frame[(frame["method"] == "plain") & (frame["metric"] == "error_a") & (frame["image"] >= "im003")]["value"]
    for method in ("plain", "fine", "twin"):
        found = cell(table, method, "error_a")
        assert found.n == 17 and found.partial
    assert cell(table, "plain", "error_a").value == pytest.approx(whole.mean(), abs=1e-12)
    assert cell(table, "fine", "error_a").failures == 3
    assert cell(table, "fine", "error_a").reason == "3 of 20 images failed: no face"
    assert "† [" in markdown.table(table) or "**† [" in markdown.table(table)
    assert "(n = 17)" in markdown.table(table) and r"\textdagger" in latex.table(table)


def test_a_method_that_mostly_fails_is_left_out_with_a_footnote() -> None:
    frame = rows(20)
    lose(frame, "twin", lambda image: image < "im015", "out of memory")
    lose(frame, "fine", lambda image: True, "needs a GPU", "skipped")
    table = means(results(frame), "faces", "standard")
    assert cell(table, "plain", "error_a").n == 20
    assert cell(table, "fine", "error_a").reason == "skipped: needs a GPU"
    assert table.reasons() == (
        "skipped: needs a GPU",
        "ok on only 5 of 20 images: 15 of 20 images failed: out of memory",
    )
    text = markdown.table(table)
    assert "n/a<sup>a</sup>" in text and "<sup>b</sup> ok on only 5 of 20" in text
    assert r"\multicolumn{2}{c}{n/a\textsuperscript{a}}" in latex.table(table)


def test_rows_that_are_not_there_are_said_to_be_not_run() -> None:
    frame = rows(20)
    frame = frame[~((frame["method"] == "fine") & (frame["metric"] == "gain_b"))]
    table = means(results(frame), "faces", "standard")
    assert cell(table, "fine", "gain_b").reason == "not run" and cell(table, "fine", "gain_b").value is None
    assert cell(table, "fine", "error_a").n == 20


def test_a_protocol_may_be_about_some_images_of_a_set_only() -> None:
    frame, about = rows(20), run_json(20)
    part = frame[frame["image"] < "im012"].assign(protocol="pairs")
    about["datasets"]["faces"]["protocols"] = {"pairs": 12}
    found = check(Path(), about, pd.concat([frame, part]))
    table = means(found, "faces", "pairs")
    assert "12 images" in table.caption and "†" not in markdown.table(table)
    assert {each.expected for _, _, each in table.cells()} == {12}
    assert {each.expected for _, _, each in means(found, "faces", "standard").cells()} == {20}
    assert {each.expected for _, _, each in paired(found, "faces", "pairs", "plain").cells()} == {12}


def test_disjoint_successes_share_no_mean() -> None:
    frame = rows(20)
    lose(frame, "plain", lambda image: image < "im010", "x")
    lose(frame, "fine", lambda image: image >= "im010", "y")
    table = means(results(frame), "faces", "standard")
    assert [cell(table, name, "error_a").value is None for name in ("plain", "fine", "twin")] == [True, True, False]
    assert cell(table, "twin", "error_a").n == 20


def test_seeds_are_averaged_within_an_image_and_must_all_be_ok() -> None:
    first, second = rows(20), rows(20)
    second["seed"] = 1
    second.loc[second["metric"] == "error_a", "value"] += 0.2
    lose(second, "fine", lambda image: image == "im000", "nan")
    values = results(pd.concat([first, second])).values("error_a", "faces", "standard")
    alone = results(first).values("error_a", "faces", "standard")
    assert values["fine"].isna().sum() == 1 and np.isnan(values["fine"].to_numpy()[0])
    np.testing.assert_allclose(values["plain"], alone["plain"] + 0.1)


def test_paired_differences_and_wins() -> None:
    frame = rows(20)
    lose(frame, "twin", lambda image: image == "im004", "x")
    table = paired(results(frame), "faces", "standard", "plain")
    assert [row.method for row in table.rows] == ["fine", "twin"] and table.reference == "plain"
    found = cell(table, "fine", "error_a")
    assert found.value == pytest.approx(-0.2, abs=0.02) and (found.wins, found.n, found.mark) == (20, 20, "better")
    assert (cell(table, "twin", "error_a").wins, cell(table, "twin", "error_a").n) == (19, 19)
    assert cell(paired(results(frame), "faces", "standard", "fine"), "plain", "gain_b").mark == "worse"
    assert "(20/20)" in markdown.table(table) and "**-0.19" in markdown.table(table)
    with pytest.raises(ReportError, match="reference"):
        paired(results(frame), "faces", "standard", "nobody")


def test_equivalent_is_said_within_a_margin_only() -> None:
    frame, about = rows(20), run_json(20)
    text = {}
    for margin in (0.0, 0.001, 0.1):
        about["metrics"] = {name: {**info, "margin": margin} for name, info in about["metrics"].items()}
        table = paired(check(Path(), about, frame), "faces", "standard", "fine")
        marks = {name: cell(table, name, "error_a").mark for name in ("twin", "plain")}
        assert marks == {"twin": "equivalent" if margin == 0.1 else "", "plain": "worse"}
        text[margin] = markdown.table(table)
    assert "Error A 0.1" in text[0.1] and " eq." in text[0.1] and "equivalent" not in text[0.0]
    assert " eq. " not in text[0.001] and "not distinguishable at this n" in text[0.0]


def test_costs_are_never_averaged_across_devices() -> None:
    frame = rows(20)
    late = (frame["method"] == "plain") & (frame["image"] >= "im010")
    frame.loc[late, "device"] = "cuda"
    frame.loc[late & (frame["metric"] == "seconds"), "value"] = 0.1
    table = costs(results(frame), "faces", "standard")
    lines = [(row.labels[1:], row.cells[0].value, row.cells[0].n) for row in table.rows if row.method == "plain"]
    assert lines == [(("cpu", "float32", "8"), 1.0, 10), (("cuda", "float32", "8"), pytest.approx(0.1), 10)]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("metric_version", 7, "different recipes"),
        ("method_version", 9, "method versions"),
        ("value", np.nan, "finite value"),
        ("status", "fine", "expected status"),
        ("method", "stranger", "run.json lacks"),
        ("metric", "strange", "run.json lacks"),
        ("suite", "other", "suite"),
        ("image", "im001", "share one"),
        ("image", "another", "holds? 21|hold 21"),
    ],
)
def test_rows_that_do_not_fit_are_refused(column: str, value: Any, message: str) -> None:
    frame = rows(20)
    extra = frame.iloc[[0]].copy()
    if (column, value) != ("image", "another"):
        frame[column] = [value, *frame[column][1:]]
    else:
        extra["image"] = value
        frame = pd.concat([frame, extra])
    with pytest.raises(ReportError, match=message):
        results(frame)


def test_a_failure_needs_a_reason_and_every_column_must_be_there() -> None:
    frame = rows(20)
    lose(frame, "plain", lambda image: image == "im000", " ")
    with pytest.raises(ReportError, match="reason"):
        results(frame)
    with pytest.raises(ReportError, match="commit"):
        results(rows(20).drop(columns="commit"))
    with pytest.raises(ReportError, match="no rows"):
        results(rows(20).iloc[:0])


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [(-0.0001, 2, False, "0.00"), (0.0, 1, True, "0.0"), (1.25, 3, True, "+1.250"), (-3.14159, 2, False, "-3.14")],
)
def test_numbers(value: float, digits: int, signed: bool, text: str) -> None:
    assert number(value, digits, signed) == text


def test_letters_go_on_after_z() -> None:
    assert [letter(place) for place in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]


def hostile_tables() -> list[Table]:
    frame = rows(20, dict.fromkeys(HOSTILE, 0.4))
    lose(frame, HOSTILE[0], lambda image: True, "bad | reason <b> \\ % {")
    lose(frame, HOSTILE[3], lambda image: image == "im000", "$ \\end{document}")
    run = run_json(20, {name: {"title": name} for name in HOSTILE})
    found = check(Path(), run, frame)
    return [means(found, "faces", "standard"), paired(found, "faces", "standard", HOSTILE[3])]


def test_hostile_names_stay_text_in_markdown() -> None:
    for table in hostile_tables():
        text = markdown.table(table)
        grid = [line for line in text.splitlines() if line.startswith("|")]
        assert len(grid) == len(table.rows) + 2
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in grid} == {len(table.columns) + 2}
        assert "<script" not in text and "<b>" not in text and r"\`x\`" in text and r"\[link\]" in text


def test_hostile_names_leave_latex_balanced() -> None:
    for text in map(latex.table, hostile_tables()):
        assert r"\input" not in text and "/etc/passwd" in text and text.count(r"\end{table}") == 1
        assert r"\end{document}" not in text and "U+540D" in text
        depth = 0
        for mark in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
            depth += 1 if mark == "{" else -1
            assert depth >= 0
        assert depth == 0
        body = [line for line in text.splitlines() if line.endswith(r" \\")]
        widths = {len(re.findall(r"(?<!\\)&", line)) + len(re.findall(r"\\multicolumn\{2\}", line)) for line in body}
        assert widths == {4}  # a label and two columns for each of two metrics


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_document_compiles(tmp_path: Path) -> None:
    (tmp_path / "tables.tex").write_text(latex.document(hostile_tables()), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 0


def test_csv_keeps_every_cell_and_every_name() -> None:
    tables = hostile_tables()
    lines = list(csv.DictReader(io.StringIO(tables_csv.dumps(tables), newline="")))
    assert len(lines) == sum(len(table.rows) * len(table.columns) for table in tables)
    assert {line["method"] for line in lines} == set(HOSTILE)
    lost = [line for line in lines if line["table"] == "means" and line["method"] == HOSTILE[0]]
    assert all(line["value"] == "" and "bad | reason" in line["reason"] for line in lost)


def test_undefined_and_blocked_scores_count_as_failures() -> None:
    frame = rows(20)
    for image, status, reason in (("im000", "undefined", "no face"), ("im001", "blocked", "not scored yet")):
        here = (frame["method"] == "fine") & (frame["metric"] == "gain_b") & (frame["image"] == image)
        frame.loc[here, ["value", "status", "reason"]] = [np.nan, status, reason]
    found = results(frame)
    assert cell(means(found, "faces", "standard"), "fine", "gain_b").failures == 2
    lose(frame, "fine", lambda image: image > "im001", "it broke off")
    frame.loc[frame["status"] == "failed", ["status", "reason"]] = ["undefined", "no face"]
    assert (
        "images failed: undefined: no face" in cell(means(results(frame), "faces", "standard"), "fine", "gain_b").reason
    )


def test_results_of_an_earlier_version_are_read_under_the_present_names(tmp_path: Path) -> None:
    about, frame = run_json(20), rows(20)
    about["metrics"] = {"row_spread" if name == "gain_b" else name: info for name, info in about["metrics"].items()}
    about["datasets"]["faces"]["protocols"] = {"editing_lines": 20}
    frame["metric"], frame["protocol"] = frame["metric"].replace("gain_b", "row_spread"), "editing_lines"
    (tmp_path / "run.json").write_text(json.dumps(about))
    frame.to_parquet(tmp_path / "results.parquet")
    found = read(tmp_path)
    assert found.parts == (("faces", "interpolation"),) and "layer_spread" in found.metrics
    assert found.values("layer_spread", "faces", "interpolation").notna().to_numpy().all()
    assert found.run["datasets"]["faces"]["protocols"] == {"interpolation": 20}
