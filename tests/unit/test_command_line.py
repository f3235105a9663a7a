"""Every command: help, near misses in one line, and what it imports."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.cli import COMMANDS, logs, main, parse, parsing, suite
from benchmarks.cli.parsing import SUITES, WORLD
from benchmarks.engine.config import load_suite
from benchmarks.errors import ConfigError
from methods.training.registry import TRAININGS

PHOTOGRAPHS = str(Path(__file__).parents[2] / "docs")  # a folder that has pictures
# The least words that a command takes.
WORDS = {
    "demo": [],
    "bench": [PHOTOGRAPHS],
    "plan": ["smoke"],
    "run": ["smoke"],
    "score": ["smoke"],
    "report": ["smoke"],
    "status": ["smoke"],
    "compare": ["a", "b"],
    "merge": ["out", "a"],
    "leaderboard": ["a"],
    "study": ["a"],
    "list": ["methods"],
    "fetch": [],
    "train": ["generator"],
    "invert": ["pti", "a.png", "--out", "out"],
    "edit": ["pti", "a.png", "--out", "out", "--edit", "yaw=1"],
    "export": ["g.pt"],
}
SUITE_COMMANDS = ["plan", "run", "score", "report", "status"]
COMPUTING = ["demo", "bench", "plan", "run", "score", "train", "invert", "edit"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that says what is wrong."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_every_command_has_words() -> None:
    assert set(WORDS) == set(COMMANDS)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out and about in out for name, (_, about) in COMMANDS.items())
    assert main([]) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_teaches_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0 and f"inversion-bench {command} " in out.split("examples:")[1]
    assert "--quiet" in out and "--debug" in out and ("--device" in out) == (command in COMPUTING)


def test_help_of_train_names_every_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    words = set(capsys.readouterr().out.replace(",", " ").split())
    assert set(TRAININGS.names()) <= words


@pytest.mark.parametrize("command", COMMANDS)
def test_the_least_words_are_enough(command: str) -> None:
    parse([command, *WORDS[command]])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("wrong", "right"), [("--quiett", "--quiet"), ("--verbos", "--verbose"), ("--debgu=1", "--debug")]
)
def test_misspelt_option(command: str, wrong: str, right: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"did you mean '{right}'" in refused([command, *WORDS[command], wrong], capsys)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("fetch", "demo")])
def test_missing_words(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "required" in refused([command], capsys)


@pytest.mark.parametrize("command", COMPUTING)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cdua", "did you mean 'cuda'"),
        ("cuda:x", "unknown device 'cuda:x'"),
        ("cuda:99", "no device 'cuda:99' on this machine"),
    ],
)
def test_wrong_device(
    command: str, name: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert message in refused([command, *WORDS[command], "--device", name], capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", SUITE_COMMANDS)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["smok"], "did you mean 'smoke'"),
        (["smoke.yml"], "no suite file 'smoke.yml'"),
        (["smoke", "sed=1"], "did you mean 'seed'"),
        (["smoke", "seed"], "not of the form key=value"),
        (["smoke", "methods=[pit]"], "did you mean 'pti'"),
        (["smoke", "datasets.0.name=olr"], "did you mean 'orl'"),
        (["smoke", "datasets.7.limit=1"], "out of range"),
        (["smoke", "protocols.localty={}"], "did you mean 'locality'"),
        (["smoke", "protocols.reconstruction.metrics=[mss]"], "did you mean 'mse'"),
        (["smoke", "stage_settings.pivotl_tuning.steps=1"], "did you mean 'pivotal_tuning'"),
        (["smoke", "stage_settings.pivotal_tuning.stps=1"], "did you mean 'steps'"),
        (["smoke", "generator=toyy"], "toyy"),
        (["smoke", "generator=/nowhere/weights.pt"], "/nowhere/weights.pt"),
        (["smoke", "workers=-1"], "workers is -1, expected at least 0"),
        (["smoke", "batch_size=-1"], "batch_size is -1, expected at least 0"),
        (["smoke", "--methods", "pit"], "did you mean 'pti'"),
        (["smoke", "--methods", ","], "names with commas"),
        (["smoke", "--datasets", "olr"], "did you mean 'orl'"),
        (["smoke", "--limit", "0"], "at least 1, found '0'"),
        (["smoke", "--seeds", "a,1"], "expected whole numbers as in 0,1,2, found 'a,1'"),
    ],
)
def test_misspelt_names_of_a_suite(
    command: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert message in refused([command, *words, "--out", str(tmp_path / "out")], capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "did you mean 'run'"),
        (["run", "smoke", "--resume", "mising"], "did you mean 'missing'"),
        (["run", "smoke", "--only", "inver"], "did you mean 'invert'"),
        (["run", "smoke", "--executor", "rai"], "did you mean 'ray'"),
        (["run", "smoke", "datasets=[{name: folder, options: {path: /nowhere}}]"], "'/nowhere' is not a folder"),
        (["run", "smoke", "--workers", "-1"], "expected a whole number of at least 1, found '-1'"),
        (["run", "smoke", "--workers", "0"], "expected a whole number of at least 1, found '0'"),
        (["run", "smoke", "--shard", "2/2"], "--shard must be i/n"),
        (["demo", "nowhere.jpg"], "no such file or folder: nowhere.jpg"),
        (["bench", "nowhere"], "nowhere is not a folder"),
        (["bench", PHOTOGRAPHS, "--methods", "pit"], "did you mean 'pti'"),
        (["bench", PHOTOGRAPHS, "--suite", "photograph"], "did you mean 'photographs'"),
        (["status", "."], ". holds no run"),
        (["report", "."], ". has no run.json"),
        (["report", ".", "--limit", "3"], "leave limit out"),
        (["merge", "out", "nowhere"], "nowhere"),
        (["compare", ".", "."], "run.json"),
        (["run", "smoke", "--timeout", "nan"], "expected a number of at least 0, found 'nan'"),
        (["run", "smoke", "--executor-option", "fast"], "'fast' is not of the form KEY=VALUE"),
        (["run", "smoke", "--wandb", "ofline"], "did you mean 'offline'"),
        (["report", "smoke", "--layout", "pti_papr"], "did you mean 'pti_paper'"),
        (["compare", "a", "b", "--across", "seed"], "did you mean 'seeds'"),
        (["compare", "nowhere", "b"], "nowhere"),
        (["merge", "out", "a", "--across", "seting"], "did you mean 'settings'"),
        (["list", "method"], "did you mean 'methods'"),
        (["list", "methods", "more"], "unrecognized arguments: more"),
        (["fetch", "lpips_alx"], "did you mean 'lpips_alex'"),
        (["train", "generatr"], "did you mean 'generator'"),
        (["train", "e4e", "budgt=1"], "budgt"),
        (["invert", "ptii", "a.png", "--out", "out", "--suite", "smoke"], "did you mean 'pti'"),
        (["invert", "pti", "a.png", "--out", "out", "--suite", "smok"], "did you mean 'smoke'"),
        (["invert", "pti", "a.png", "--out", "out", "--suite", "smoke", "--set", "sed=1"], "did you mean 'seed'"),
    ],
)
def test_misspelt_names(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(words, capsys)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["rnu"], *([name, "--help"] for name in COMMANDS), ["run", "smok"], ["run", "smoke", "--wrkers", "2"]],
)
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    code = f"""
import sys
from benchmarks.cli import COMMANDS, main
try:
    main({words!r})
except SystemExit:
    pass
others = [module for name, (module, _) in COMMANDS.items() if name not in ({words[0]!r}, "invert", "run", "bench")]
heavy = {{"torch", "pandas", "omegaconf", "yaml", "PIL", "numpy", *others}} & set(sys.modules)
sys.exit(f"imported: {{sorted(heavy)}}" if heavy else 0)"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_settings_may_stand_behind_options() -> None:
    _, options = parse(["run", "smoke", "seed=1", "--out", "out", "batch_size=2", "--engine", "a=b", "-v"])
    assert options.overrides == ["seed=1", "batch_size=2"] and options.out == Path("out")
    assert options.executor_option == ["a=b"] and options.verbose, "--engine is the former name of --executor-option"
    _, options = parse(["invert", "pti", "a.png", "--out", "out", "b.png"])
    assert options.images == [Path("a.png"), Path("b.png")]


def test_notes_go_to_stderr_and_to_the_log_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note, other = logging.getLogger("methods.notes"), logging.getLogger("elsewhere")

    def write() -> str:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            note.log(level, "note %d", level)
        other.info("not ours")
        return capsys.readouterr().err

    try:
        logs.set_up()
        assert write() == "note 20\nwarning: note 30\n"
        logs.set_up(verbose=True)
        logs.log_into(tmp_path)
        logs.log_into(tmp_path, "w0-1")
        assert write() == "note 10\nnote 20\nwarning: note 30\n"
        assert not (tmp_path / "log.txt").exists(), "a worker has a file of its own"
        lines = (tmp_path / "work" / "logs" / "w0-1.txt").read_text().splitlines()
        assert [line.split(" ", 2)[2] for line in lines[-1:]] == ["WARNING methods.notes: note 30"]
    finally:
        logs.close_files()
        logs.set_up()


def test_debug_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "nothing", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_devices_that_are_here() -> None:
    from benchmarks.engine.machine import pick_device

    assert pick_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="here: 1 x cpu"):
            pick_device("cuda")


def test_wandb_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parsing, "find_spec", lambda name: None)
    assert "pip install 'inversion-bench[wandb]'" in refused(["run", "smoke", "--wandb", "offline"], capsys)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("inversion-bench ")


def test_quiet_is_known_before_anything_else_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, quiet in ((["list", "suites", "--quiet"], "1"), (["list", "suites"], None)):
        assert main(words) == 0
        assert os.environ.get("TQDM_DISABLE") == quiet


def test_completion_offers_commands_options_and_names() -> None:
    def offered(line: str) -> set[str]:
        asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
        environment = {**os.environ, **asked, "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout"}
        done = subprocess.run([sys.executable, "-m", "benchmarks"], env=environment, capture_output=True, text=True)
        return {word.strip() for word in done.stdout.split("\v")}

    assert {"run", "report", "demo"} <= offered("inversion-bench r") | offered("inversion-bench ")
    assert {"--limit", "--quiet"} <= offered("inversion-bench run --")
    assert "smoke" in offered("inversion-bench run s") and "e4e+pti" in offered("inversion-bench invert e4")


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        ([], "runs/smoke"),
        (["workers=2", "batch_size=3"], "runs/smoke"),
        (["datasets.0.limit=4"], "runs/smoke"),  # as the suite has it
        (["datasets.0.limit=2"], "runs/smoke-datasets.0.limit-2"),
        (["--methods", "pti"], "runs/smoke-methods-pti"),
        (["seed=1", "--out", "mine"], "mine"),
    ],
)
def test_other_settings_have_another_folder(words: list[str], folder: str) -> None:
    _, options = parse(["run", "smoke", *words])
    assert suite.load(options)[1] == Path(folder)


def test_shortcuts_are_settings() -> None:
    _, options = parse(
        ["run", "celeba64", "--datasets", "orl,lfw", "--limit", "2", "--methods", "e4e,pti", "--seeds", "0,2"]
    )
    found, _ = suite.load(options)
    assert found.methods == ["e4e", "pti"] and [(e.name, e.limit) for e in found.datasets] == [("orl", 2), ("lfw", 2)]
    assert found.all_seeds == (0, 2) and load_suite("celeba64").all_seeds == (0,)
    assert suite.load(options)[0] == found, "the words of workers say the same"


def test_tables_of_other_settings_are_not_overwritten(tmp_path: Path) -> None:
    ours, other = load_suite("smoke"), load_suite("smoke", ["seed=1"])
    (tmp_path / "run.json").write_text(json.dumps({"suite": "smoke", "config": asdict(ours)}))
    suite.refuse_other_settings(tmp_path, ours)
    suite.refuse_other_settings(tmp_path, load_suite("smoke", ["workers=3"]))
    suite.refuse_other_settings(tmp_path, other, replace=True)
    with pytest.raises(ConfigError, match="has the tables of smoke with other seed; choose another folder"):
        suite.refuse_other_settings(tmp_path, other)


def test_the_embedded_world_is_named_in_one_place() -> None:
    for path in ("demo", "photographs"):
        assert yaml.safe_load((SUITES / f"{path}.yaml").read_text())["base"] == WORLD
