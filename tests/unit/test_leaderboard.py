from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from reports import submission
from reports.frame import ReportError, read
from reports.tabulate import means
from tests.unit.simulated_run import rows, run_json, write


def content(tmp_path: Path) -> dict[str, Any]:
    return submission.of_run(read(write(tmp_path / "run", rows(12), run_json(12))), "fine")


def test_a_file_has_the_numbers_of_the_tables(tmp_path: Path) -> None:
    found = content(tmp_path)
    row = next(row for row in means(read(tmp_path / "run"), "faces", "standard").rows if row.method == "fine")
    assert [(s["mean"], s["low"], s["high"], s["n"]) for s in found["scores"]] == [
        (cell.value, cell.low, cell.high, cell.n) for cell in row.cells
    ]
    (tmp_path / "fine.json").write_text(json.dumps(found))
    assert submission.load(tmp_path / "fine.json") == found


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", "other", "format: expected"),
        ("version", 2, "version: expected 1, found 2"),
        ("method.name", "", "method.name: expected a text of 1 to 200 characters, found ''"),
        ("datasets.faces.images", -1, "datasets.faces.images: expected a whole number"),
        ("scores", [], "scores: expected a list with entries"),
        ("scores.1.mean", "n/a", r"scores\[1\].mean: expected a finite number, found 'n/a'"),
        ("scores.1.mean", float("nan"), r"scores\[1\].mean: expected a finite number"),
        ("scores.0.direction", "up", "expected lower or higher, found 'up'"),
        ("scores.0.n", 13, "n: expected 1 to 12, found 13"),
        ("scores.0.low", 99.0, "expected low <= mean <= high"),
        ("scores.0.dataset", "cats", "expected one of faces, found 'cats'"),
        ("scores.1.metric", "error_a", r"is in scores\[0\], too"),
        ("scores.0", 3, r"scores\[0\]: expected an object"),
        ("generator.sha256", None, "generator.sha256: expected a text"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path: Path, path: str, value: Any, said: str) -> None:
    found: Any = content(tmp_path)
    *above, last = path.split(".")
    inner = found
    for key in above:
        inner = inner[int(key) if key.isdigit() else key]
    inner[int(last) if last.isdigit() else last] = value
    (tmp_path / "bad.json").write_text(json.dumps(found))
    with pytest.raises(ReportError, match=rf"bad\.json: .*{said}"):
        submission.load(tmp_path / "bad.json")


def test_runs_and_files_make_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("old", "new"):
        write(tmp_path / name, rows(12), run_json(12))
    out = tmp_path / "board"
    assert main(["leaderboard", str(tmp_path / "old"), str(tmp_path / "new"), "--out", str(out)]) == 0
    assert "6 results on 1 boards" in capsys.readouterr().out
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Title of plain (old)" in page and "Title of plain (new)" in page
    # The files that it wrote are what others submit; another number of images is another board.
    write(tmp_path / "few", rows(6), run_json(6))
    assert main(["leaderboard", str(out / "results"), str(tmp_path / "few"), "--out", str(tmp_path / "two")]) == 0
    assert "9 results on 2 boards" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', "[" * 100_000])
def test_a_wrong_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.json").write_text(text)
    for folder in (tmp_path / "in", tmp_path / "none", tmp_path):
        code = main(["leaderboard", str(folder), "--out", str(tmp_path.with_name("board"))])
        err = capsys.readouterr().err
        assert code == 2 and "Traceback" not in err and len(err.strip().splitlines()) == 1
