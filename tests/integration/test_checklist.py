"""`plan` and `fetch` of a suite whose files the user brings: what is missing is said, with its source, and exit 2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.engine.config import load_suite, suite_names
from benchmarks.engine.requirements import needed_assets, needs
from datasets.registry import ASSETS

FILES = ["stylegan2-ffhq-config-f.pt", "psp_ffhq_encode.pt", "e4e_ffhq_encode.pt", "restyle_psp_ffhq_encode.pt",
         "restyle_e4e_ffhq_encode.pt", "faces_w_encoder.pt", "hyperstyle_ffhq.pt",
         "CurricularFace_Backbone.pth", "weights-inception-2015-12-05-6726825d.pth"]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any file of the user."""
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("INVERSION_BENCH_DATA", str(tmp_path / "data"))


def test_a_machine_that_lacks_everything_gets_a_checklist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "celeba-hq"]) == 2
    said = capsys.readouterr().out
    assert "0 of 10 files and folders are here" in said and said.count("[ ]") == 10
    for file in FILES:
        assert f"$INVERSION_BENCH_WEIGHTS/{file}" in said
    assert "github.com/switchablenorms/CelebAMask-HQ" in said and str(tmp_path / "data" / "CelebAMask-HQ") in said
    assert not (tmp_path / "cache").exists()


def test_a_method_without_its_weights_says_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "celeba-hq", "methods=[hyperstyle+pti]"]) == 2
    said = capsys.readouterr().out
    assert "$INVERSION_BENCH_WEIGHTS/hyperstyle_ffhq.pt; SHA-256" in said
    assert "README of github.com/yuval-alaluf/hyperstyle" in said and "e4e_ffhq_encode" not in said
    absent = ["methods=[hyperstyle]", "reference_method=hyperstyle", "stage_settings.hyperstyle.weights=absent"]
    assert main(["plan", "smoke", *absent]) == 2
    assert "no hypernetwork weights 'absent'" in capsys.readouterr().err


def test_what_is_there_is_ticked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / FILES[2]).touch()
    (tmp_path / "data" / "CelebAMask-HQ").mkdir(parents=True)
    assert main(["plan", "celeba-hq", "methods=[e4e]"]) == 2
    said = capsys.readouterr().out
    assert "2 of 5 files and folders are here" in said and "[x] e4e_ffhq_encode" in said
    assert main(["plan", "celeba-hq-ood"]) == 2
    assert "data set metfaces" in capsys.readouterr().out


def test_fetch_says_where_to_put_what_it_cannot_bring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "e4e_ffhq_encode"]) == 1
    said = capsys.readouterr().out
    assert "README of github.com/omertov/encoder4editing" in said and "0999 in public copies" in said
    assert main(["fetch", "restyle_psp_ffhq_encode"]) == 1
    assert "SHA-256 not published" in capsys.readouterr().out


def test_fetch_compares_what_it_finds_with_public_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "e4e_ffhq_encode.pt").write_bytes(b"other")
    assert main(["fetch", "e4e_ffhq_encode"]) == 0
    assert "in public copies 2ace1d9a" in capsys.readouterr().out


def test_suites_that_bring_everything_have_no_list() -> None:
    assert needs(load_suite("celeba64")) == [] and needs(load_suite("smoke")) == []


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_names_what_it_is_made_of(name: str) -> None:
    suite = load_suite(name)
    names = needed_assets(suite)
    assert {"lpips_alex", "lpips_vgg"} & set(names)
    for entry in suite.datasets:
        assert ASSETS.get(entry.name) in (None, *names)


def test_fetch_takes_the_suite_of_make_bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    (name,) = re.findall(r"^SUITE \?= (\S+)$", makefile, re.MULTILINE)
    fetched: list[str] = []
    monkeypatch.setattr("datasets.assets.ensure", lambda asset, quiet=True: fetched.append(asset))
    assert main(["fetch", name]) == 0
    assert {"lpips_vgg", "sface", "openpeople", "orl_faces"} <= set(fetched)
    assert "licence: MIT" in capsys.readouterr().out
