"""What a user gets wrong is one line, `error: ...`, and exit code 2 in every command; never a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.engine import claims, workers
from benchmarks.errors import ConfigError
from datasets import assets
from inversion_bench.errors import SetupError
from methods.registry import resolve_stage

STEPS = "stage_settings.w_optimization"


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    """The one line on stderr."""
    assert main(list(words)) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text and len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
    return text


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("methods=[[pti]]", "methods"),
        (f"{STEPS}.lr=nan", "lr is nan, expected a finite number"),
        (f"{STEPS}.lr=inf", "lr is inf, expected a finite number"),
        (f"{STEPS}.steps=-5", "steps is -5, expected at least 0"),
        (f"{STEPS}.steps=1{'0' * 30}", "expected a finite number below 2\\^63"),
        (f"seed=1{'0' * 23}", "seed is 1000.*at most 63 bits"),
        ("name=../../x", "not a safe name of a folder"),
        (f"x={'[' * 3000}", "override"),
        ("generator=/nowhere/g.pt", "no generator '/nowhere/g.pt'"),
    ],
)
def test_settings_that_cannot_be(setting: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVERSION_BENCH_OFFLINE", "1")
        text = said(capsys, "plan", "smoke", "methods=[sg2_w]", setting)
    assert __import__("re").search(what, text), text


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "[" * 5000 + "]" * 5000, "{", "- 1", "\0", "name: [1"])
def test_yaml_that_is_no_suite_or_method(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text(text)
    assert "s.yaml" in said(capsys, "plan", str(tmp_path / "s.yaml"))
    assert "s.yaml" in said(capsys, "plan", "smoke", f"methods=['{tmp_path / 's.yaml'}']")


def test_missing_and_broken_weights_in_every_door(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("INVERSION_BENCH_OFFLINE", "1")
    (tmp_path / "page.pt").write_text("<html>")
    out = str(tmp_path / "out")
    for words, what in (
        (["train", "directions", "generator=stylegan2_ffhq"], "stylegan2_ffhq"),
        (["train", "e4e", "generator=stylegan2_ffhq"], "stylegan2_ffhq"),
        (["train", "e4e", f"generator={tmp_path / 'page.pt'}"], "page.pt: a web page"),
        (["train", "e4e", f"generator={tmp_path / 'nowhere.pt'}"], "no generator"),
        (["train", "e4e", "lr=nan"], "lr is nan"),
        (["train", "generator", f"start={tmp_path / 'page.pt'}"], "page.pt: a web page"),
        (["train", "generator", f"start={tmp_path / 'nowhere.pt'}"], "nowhere.pt"),
    ):
        assert what in said(capsys, *words, "--out", out, "--processes", "1")
    (tmp_path / "p.png").write_bytes(b"")
    for method in ("e4e", "sg2_w"):
        words = ["invert", method, str(tmp_path / "p.png"), "--out", out, "--suite", "celeba-hq"]
        assert "stylegan2_ffhq" in said(capsys, *words)


def test_a_cache_that_cannot_be_written_names_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="set INVERSION_BENCH_CACHE to a folder that can"):
        assets.cache_folder(tmp_path / "file" / "below")


def test_libraries_that_cannot_be_loaded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(_: Any) -> int:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr("benchmarks.cli.status.run", limited)
    assert "failed to map segment" in said(capsys, "status", "smoke")


def test_without_file_locks_run_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows. One process works; several cannot share a folder."""
    monkeypatch.setattr(claims, "fcntl", None)
    assert "POSIX file locks" in said(capsys, "run", "smoke") and workers
    heartbeat = claims.Heartbeat(tmp_path)
    monitor = claims.WorkerMonitor(tmp_path)
    assert monitor.alive(heartbeat.name, claims.machine())
    heartbeat.close()
    assert not monitor.alive(heartbeat.name, claims.machine())
    with pytest.raises(ConfigError, match="WSL"):
        claims.require_locks("run")


def test_modules_load_without_those_of_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from benchmarks.engine import machine

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fcntl", "resource"):
            patch.setitem(sys.modules, name, None)
        assert importlib.reload(claims).fcntl is None and importlib.reload(machine).resource is None
    importlib.reload(machine)
    assert importlib.reload(claims).fcntl is not None


def test_a_tilde_is_the_home_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for words in (["plan", "smoke", "generator=~/g.pt"], ["plan", "smoke", "methods=[e4e]",
                  "stage_settings.e4e.weights=~/g.pt"]):  # fmt: skip
        assert f"{tmp_path}/g.pt" in said(capsys, *words)


def test_numbers_are_checked_against_what_is_usual() -> None:
    with pytest.raises(ValueError, match="batch_size is -1, expected at least 0"):
        resolve_stage("e4e", {"batch_size": -1})
    assert resolve_stage("w_optimization", {"steps": 0}).config.steps == 0
