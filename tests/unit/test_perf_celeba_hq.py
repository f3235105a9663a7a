"""The cost of CelebA-HQ from a GPU's rows; expected figures are worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.perf import celeba_hq

ROWS = [
    {"part": "tuning", "title": "with locality: suite", "ms": 100.0, "MiB": 9000},
    {"part": "tuning", "title": "with locality: TF32", "ms": 50.0, "MiB": 9500},
    {"part": "tuning", "title": "with locality: no graphs", "ms": 999.0, "MiB": 9999},
    {"part": "tuning", "title": "with locality: TF32 + scaled maps", "ms": 999.0, "MiB": 9999},
    {"part": "tuning", "title": "without locality: suite", "ms": 60.0, "MiB": 7000},
    {"part": "tuning", "title": "the part", "seconds": 30.0},
    {"part": "projection", "title": "W: suite", "ms": 70.0, "MiB": 5000},
    {"part": "projection", "title": "W: TF32", "ms": 20.0, "MiB": 5000},
    {"part": "projection", "title": "W: scaled maps", "ms": 50.0, "MiB": 5000},
    {"part": "projection", "title": "W+: suite", "skipped": "no time left"},
    {"part": "encoders", "title": "float32, channels_last, batch 8", "ms": 90.0, "MiB": 30000},
    {"part": "encoders", "title": "float32, contiguous, batch 8", "ms": 80.0, "MiB": 30000},
    {"part": "encoders", "title": "float32, contiguous, batch 8, graph", "ms": 70.0, "MiB": 30000},
    {"part": "encoders", "title": "TF32, contiguous, batch 8", "ms": 40.0, "MiB": 31000},
    {"part": "encoders", "title": "restyle_psp, float32, batch 8", "ms": 800.0, "MiB": 4000},
    {"part": "encoders", "title": "restyle_psp, float32, batch 1", "ms": 250.0, "MiB": 3000},
    {"part": "encoders", "title": "restyle_psp, TF32, batch 1", "ms": 100.0, "MiB": 3000},
    {"part": "encoders", "title": "hyperstyle, float32, batch 1", "error": "OutOfMemoryError: ..."},
    {"part": "busy", "title": "with locality: suite", "busy": 0.9},
    {"part": "memory", "title": "tuning with locality, batch 1", "ms": 999.0, "MiB": 9100},
    {"part": "memory", "title": "tuning with locality, batch 2", "ms": 150.0, "MiB": 14000},
    {"part": "memory", "title": "W, batch 8", "ms": 160.0, "MiB": 20000},
    {"part": "memory", "title": "W, batch 8", "skipped": "no time left"},  # of a second run into the same file
]


def written(folder: Path, rows: list[dict[str, object]], device: str = "NVIDIA H200") -> Path:
    path = folder / "gpu.jsonl"
    path.write_text("".join(json.dumps({"device": device, **row}) + "\n" for row in rows))
    return path


def table(path: Path, start: str) -> dict[str, list[str]]:
    """The cells of one of the tables by their first."""
    body = next(part for part in celeba_hq.report(path) if part.startswith(start))
    lines = [line.strip("| ").split(" | ") for line in body.splitlines()[2:]]
    return {name: cells for name, *cells in lines}


def test_time_is_steps_by_milliseconds_and_what_methods_share_counts_once(tmp_path: Path) -> None:
    methods = table(written(tmp_path, ROWS), "| float32")
    # W: 450 steps of 160 ms for 8 images; 2,824 x 9 s are 7.06 h
    assert methods["SG2 W"] == ["9", "7.06", "0.882", "0.11", "20,000"]
    assert methods["PTI"][:2] == ["44", "34.5"]  # 9 s, and 350 steps of 100 ms; not the "memory" row's 999 ms
    # 80 ms for 8, and at most 250 / 5 to render each, less than a tuning step
    assert methods["pSp"][0] == methods["e4e"][0] == "0.06"
    assert methods["e4e + PTI"][0] == "35.1" and methods["e4e + PTI"][-1] == "30,000"
    assert methods["ReStyle (pSp)"][0] == methods["ReStyle (e4e)"][0] == "0.15"
    # W, two encoders, two ReStyle, and four tunings: 9 + 2 x 0.06 + 2 x 0.15 + 4 x 35
    assert methods["the 9 that are measured, what they share once"][:2] == ["149", "117"]


def test_tf32_has_rows_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    methods, stages = table(path, "| TF32"), table(path, "| stages")
    assert methods["PTI"][0] == "26.5" and methods["PTI"][-1] == "9,500"  # 450 steps of 20 ms, 350 of 50
    assert methods["e4e"][0] == "0.025"  # 40 ms for 8, and at most 100 / 5 to render each
    assert methods["ReStyle (pSp)"][0] == "0.12"
    assert stages["`pivotal_tuning`"] == ["350", "1", "1: 100", "1: 50", "1: 9,000", "1: 9,500"]
    assert next(celeba_hq.report(path)).endswith(
        "at most 50 ms (float32) and 20 ms (TF32) to render, beside its network."
    )


def test_w_is_the_row_of_scaled_maps_where_there_is_one(tmp_path: Path) -> None:
    scaled = {"part": "projection", "title": "W: TF32 + scaled maps", "ms": 15.0, "MiB": 5100}
    cells = table(written(tmp_path, [*ROWS, scaled]), "| stages")["`w_optimization`"]
    assert cells == ["450", "8", "1: 50; 8: 160", "1: 15", "1: 5,000; 8: 20,000", "1: 5,100"]


def test_what_was_skipped_or_failed_is_not_measured(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    methods, stages = table(path, "| float32"), table(path, "| stages")
    assert set(methods["SG2 W+"]) == set(methods["HyperStyle"]) == {"not measured"}
    assert stages["`w_plus_optimization`"] == ["450", "8", *["not measured"] * 4]
    left_out = ("W: suite", "W: scaled maps", "W, batch 8", "restyle_psp, float32, batch 1", "without locality: suite")
    absent = table(written(tmp_path, [row for row in ROWS if row["title"] not in left_out]), "| float32")
    assert absent["pSp"][0] == "not measured"  # as nothing bounds what rendering takes
    assert absent["SG2 W"][0] == absent["PTI"][0] == absent["PTI"][-1] == "not measured"


def test_a_wrong_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, ROWS)
    with path.open("a") as file:
        file.write(json.dumps({"part": "memory", "title": "W, batch 2", "ms": 1.0, "device": "cpu"}) + "\n")
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"part": "tuning", "ti')
    for given, words in ((path, "found NVIDIA H200, cpu"), (torn, "expected the gpu.jsonl"), (tmp_path / "no", "no")):
        with pytest.raises(SystemExit, match="2"):
            celeba_hq.main([str(given)])
        assert words in (error := capsys.readouterr().err) and str(given) in error and "Traceback" not in error
