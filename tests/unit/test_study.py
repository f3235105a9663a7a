"""Blind studies: the page tells nothing, answers come back to their methods, and intervals cover."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.cli import main
from reports.bradley_terry import Choice, strengths
from tests.unit.simulated_run import LEVELS, rows, run_json

METHODS = list(LEVELS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of three methods on 12 images; one image lacks a method."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows(12).to_parquet(folder / "results.parquet")
    (folder / "run.json").write_text(json.dumps(run_json(12)))
    for place in range(12):
        images = folder / "images" / "faces" / f"im{place:03}"
        images.mkdir(parents=True)
        for shade, name in enumerate(["target", *METHODS][: 3 if place == 5 else 4]):
            Image.new("RGB", (8, 8), (20 * place, 50 * shade, 0)).save(images / f"{name}.png")
    return folder


def answer(out: Path, name: str, better: list[str]) -> Path:
    """The file of a participant who always chooses what comes first in `better`."""
    key = json.loads((out / "key.json").read_text())
    by_image: dict[str, dict[str, str]] = {}
    for token, shown in key.items():
        by_image.setdefault(shown["image"], {})[shown["method"]] = token
    path = out / f"{name}.csv"
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["participant", "trial", "left", "right", "chosen", "milliseconds"])
        for tokens in by_image.values():
            for a, b in itertools.combinations(better, 2):
                writer.writerow([name, 1, tokens[b], tokens[a], tokens[a], 900])
    return path


def test_the_page_tells_nothing_and_answers_come_back(run, tmp_path, capsys):
    out = tmp_path / "study"
    assert main(["study", str(run), "--limit", "4", "--out", str(out)]) == 0
    assert f"{out / 'page'}: 12 pairs" in capsys.readouterr().out
    page = (out / "page" / "index.html").read_text()
    names = [path.name for path in (out / "page" / "images").iterdir()]
    assert len(names) == 16
    for word in (*METHODS, "faces", "im00"):
        assert word not in page and not any(word in name for name in names)
    key = json.loads((out / "key.json").read_text())
    assert {shown["method"] for shown in key.values()} == {"target", *METHODS}
    assert "im005" not in {shown["image"] for shown in key.values()}, "a method's image is missing there"

    files = [answer(out, "a", ["fine", "twin", "plain"]), answer(out, "b", ["fine", "twin", "plain"])]
    assert main(["study", str(out), "--answers", *map(str, files)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["fine", "16", "of", "16"], ["twin", "8", "of", "16"], ["plain", "0", "of", "16"]]  # fmt: skip


def test_what_is_no_study_is_refused(run, tmp_path, capsys):
    out = tmp_path / "study"
    for words, message in (
        (["--methods", "plain"], "at least two methods, found plain"),
        (["--methods", "plain,fien"], "did you mean 'fine'"),
        (["--datasets", "face"], "did you mean 'faces'"),
    ):
        assert main(["study", str(run), *words, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert main(["study", str(run), "--out", str(out)]) == 0
    assert main(["study", str(run), "--out", str(out)]) == 2, "the key of the first one would be lost"
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("participant,left,right,chosen\nme,a,b,c\n")
    assert main(["study", str(out), "--answers", str(wrong)]) == 2
    assert f"{wrong}, line 2: no answer of this study" in capsys.readouterr().err
    assert main(["study", str(run), "--answers", str(wrong)]) == 2
    assert "no key of a study" in capsys.readouterr().err


def test_two_methods_have_the_logarithm_of_their_odds():
    choices = [Choice("a", "b", f"p{i % 5}", f"i{i % 7}") for i in range(700)]
    choices += [Choice("b", "a", f"p{i % 5}", f"i{i % 7}") for i in range(300)]
    a, b = strengths(choices, ["a", "b"])
    assert a.value - b.value == pytest.approx(np.log(700.5 / 300.5), abs=1e-6) and a.value == pytest.approx(-b.value)
    assert (a.wins, b.wins, a.n) == (700, 300, 1000) and a.low < a.value < a.high
    alone = strengths([Choice("a", "b", "p", "i")], ["a", "b"])[0]
    assert np.isfinite(alone.value) and np.isnan(alone.low), "one participant and one image"
    with pytest.raises(ValueError, match="no choices connect c with a"):
        strengths(choices, ["a", "b", "c"])


def test_intervals_cover_the_truth_although_participants_differ():
    draw, truth, inside = np.random.default_rng(0), np.array([0.8, 0.1, -0.9]), 0
    for _ in range(200):
        choices = []
        for person in range(10):
            own = truth + draw.normal(0, 0.4, 3)
            for image in range(12):
                there = own + draw.normal(0, 0.3, 3)
                for i, j in itertools.combinations(range(3), 2):
                    won = draw.random() < 1 / (1 + np.exp(there[j] - there[i]))
                    pair = ("abc"[i], "abc"[j]) if won else ("abc"[j], "abc"[i])
                    choices.append(Choice(*pair, f"p{person}", f"i{image}"))
        found = strengths(choices, ["a", "b", "c"])
        # Differences between people pull strengths towards zero; the middle method stays where it is.
        inside += found[1].low <= 0.1 <= found[1].high
    assert 0.93 <= inside / 200 <= 0.99
