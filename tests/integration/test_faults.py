"""The fault harness: it sees what is lost, doubled or different, and a killed run ends with the undisturbed tables."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

from tests.faults import run as faults
from tests.faults.__main__ import main

FEW = ["datasets[0].limit=2", "methods=[sg2_w]", "protocols.locality=null", "protocols.reconstruction.metrics=[mse]"]


def write(folder: Path, images: list[str], text: str = "same") -> Path:
    (folder / "report").mkdir(parents=True)
    rows = [dict.fromkeys(faults.KEY, "a") | {"image": image} for image in images]
    pd.DataFrame(rows).to_parquet(folder / "results.parquet")
    for name in faults.TABLES:
        (folder / "report" / name).write_text(text)
    return folder


def test_what_differs_is_counted(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", ["x", "y", "z"])
    same = faults._compare("kill", whole, write(tmp_path / "same", ["x", "y", "z"]), 1)
    assert same.good and (same.lost, same.doubled) == (0, 0)
    bad = faults._compare("kill", whole, write(tmp_path / "bad", ["x", "x", "y"], "other"), 2)
    assert not bad.good and (bad.lost, bad.doubled, bad.equal, bad.runs) == (1, 1, False, 2)


def test_rounds_that_make_no_sense_start_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", "--rounds", "0", "--out", str(tmp_path / "out")]) == 2
    assert "--rounds is 0" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.assets
@pytest.mark.slow
def test_a_killed_run_ends_with_the_undisturbed_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "usable", lambda: iter(["torn_files", "nan_loss"]))
    monkeypatch.setattr(random.Random, "randint", lambda *_: 1)
    assert main(["smoke", *FEW, "workers=2", "--rounds", "2", "--out", str(tmp_path)]) == 0
    assert "rows lost 0, doubled 0, tables equal in 2" in capsys.readouterr().out
