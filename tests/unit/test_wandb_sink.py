from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
import zlib
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.cli import report
from benchmarks.engine.progress import State
from reports import wandb_runs, wandb_sink
from reports.frame import read
from reports.tabulate import means
from tests.unit.simulated_run import lose, rows, run_json, write
from tests.unit.test_structure import files, imports

BLOCK = 32_768


def records(path: Path) -> Iterator[Any]:
    """The protocol records of a .wandb file: LevelDB's log format behind a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, whole = 7, b""
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", data[place : place + 7])
        body = data[place + 7 : place + 7 + length]
        assert zlib.crc32(body, zlib.crc32(bytes([kind]))) == checksum
        place += 7 + length
        whole = body if kind in (1, 2) else whole + body  # 1: a whole record; 2, 3, 4: first, middle, last part
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record


def logged(folder: Path) -> dict[str, dict[str, Any]]:
    """By name, of every offline run: group, config, tags, history, summary, exit code, and its artifacts.

    Of an artifact: its paths, and the files to be sent.
    """
    runs = {}
    for path in folder.glob("offline-run-*/run-*.wandb"):
        found: dict[str, Any] = {"summary": {}, "artifacts": {}, "history": [], "axes": {}}
        for record in records(path):
            if record.HasField("run"):
                found |= {"name": record.run.display_name, "group": record.run.run_group, "id": record.run.run_id,
                          "tags": list(record.run.tags), "kind": record.run.job_type}  # fmt: skip
                found["config"] = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            if record.HasField("history"):
                items = record.history.item
                found["history"].append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
            if record.HasField("metric"):
                found["axes"][record.metric.glob_name or record.metric.name] = record.metric.step_metric
            if record.HasField("summary"):
                for item in record.summary.update:
                    found["summary"]["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
            if record.HasField("artifact"):
                entries = {entry.path: Path(entry.local_path) for entry in record.artifact.manifest.contents}
                found["artifacts"][record.artifact.type, record.artifact.name] = entries
            if record.HasField("exit"):
                found["exit"] = record.exit.exit_code
        runs[found["name"]] = found
    return runs


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for key in ("WANDB_PROJECT", "WANDB_MODE", "WANDB_API_KEY", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_DIR"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no key, no settings of whoever runs the tests
    frame = rows(30)
    lose(frame, "twin", lambda image: image < "im020", "no face")
    return write(tmp_path / "run", frame, run_json(30), pictures=30)


def test_an_offline_run_is_read_back(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "report").mkdir()
    (directory / "report" / "tables.md").write_text("# Tables\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert wandb_sink.push(directory, "offline")
    assert capsys.readouterr().err == ""
    assert all(path.read_bytes() == data for path, data in before.items())
    runs = logged(directory / "wandb")
    assert set(runs) == {"run", "Title of plain", "Title of fine", "Title of twin"}
    whole = runs["run"]
    assert whole["kind"] == "benchmark" and whole["group"] == "small" and whole["exit"] == 0
    assert whole["tags"] == ["small", "toy", "plain", "fine", "twin", "faces"]
    assert whole["summary"]["failed_images"] == 20
    sent = {path: file.read_bytes() for path, file in whole["artifacts"]["results", "small-results"].items()}
    assert sent == {path: (directory / path).read_bytes() for path in sent} and set(sent) == {
        "report/tables.md", "results.parquet", "run.json",
    }  # fmt: skip
    table = means(read(directory), "faces", "standard")
    for row in table.rows:
        found = runs[row.labels[0]]
        assert found["group"] == "small" and found["exit"] == 0 and found["config"]["method"] == row.method
        assert found["config"]["generator"]["sha256"] == "00ff" and found["config"]["versions"]["torch"] == "2.15.0"
        for column, cell in zip(table.columns, row.cells, strict=True):
            name = f"faces/standard/{column.name}"
            if cell.value is None:
                assert "no face" in found["summary"][f"{name}/reason"] and name not in found["summary"]
            else:
                ends = [found["summary"][f"{name}{end}"] for end in ("", "/low", "/high", "/n")]
                assert ends == pytest.approx([cell.value, cell.low, cell.high, cell.n])
        assert found["summary"]["faces/standard/seconds/cpu/float32/batch_8"] == pytest.approx(1.0)
        assert found["summary"]["inversion_seconds"] == (10 if row.method == "twin" else 30)
        assert not [kind for kind, _ in found["artifacts"] if kind == "results"], "one artifact of results a run"
        names = {name for name in found["summary"] if not name.startswith("_")}
        assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_/]*", name) for name in names), names
    held = {kind: path for artifact in runs["Title of plain"]["artifacts"].values() for kind, path in artifact.items()}
    tables = {name.removesuffix(".table.json"): json.loads(path.read_text(encoding="utf-8"))
              for name, path in held.items() if name.endswith(".table.json")}  # fmt: skip
    images, values_only = tables["images"], tables["values"]
    assert values_only["columns"][:3] == ["dataset", "image", "standard/error_a"] and len(values_only["data"]) == 30
    values = read(directory).values("error_a", "faces", "standard")["plain"]
    assert {row[1]: row[2] for row in values_only["data"]} == pytest.approx(dict(values))
    assert len(images["data"]) == 24 and images["columns"][2:4] == ["target", "reconstruction"]
    kinds = {cell["_type"] for row in images["data"] for cell in row[2:4]}
    assert kinds == {"image-file"}
    for row in images["data"]:
        for place, name in ((2, "target"), (3, "plain")):
            shown = directory / "images" / "faces" / row[1] / f"{name}.png"
            assert held[row[place]["path"]].read_bytes() == shown.read_bytes()


@pytest.mark.slow
def test_a_service_that_is_not_there_is_a_warning(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there, and there is no key
    assert not wandb_sink.push(directory, "online")
    text = caplog.text
    assert "not logged to Weights & Biases" in text and "are complete" in text and "--mode online" in text


def test_a_process_that_hangs_or_cannot_start_is_a_warning(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hang(process: subprocess.Popen[str], *_: Any, timeout: float) -> None:
        raise subprocess.TimeoutExpired(process.args, timeout)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", hang)
        assert not wandb_sink.push(directory, "offline", minutes=2)
    assert "took more than 2 minutes" in caplog.text
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert not wandb_sink.push(directory, "offline")
    assert "No such file" in caplog.text


def test_a_run_is_logged_while_it_goes_on(directory: Path) -> None:
    import wandb

    states = [
        State("inverting", 0, 60, None),
        State("inverting", 20, 60, 90.0, "plain on faces", {"faces": {"e4e+pti": {"error_a": (0.5, 20)}}}),
        State("scoring", 7, 90, 3.0, "standard", {"faces": {"e4e+pti": {"error_a": (0.4, 30)}}}),
    ]
    seen = []

    class Script(wandb_runs.Ear):
        """Writes a state before every look; then hears that the run was interrupted."""

        def __init__(self) -> None:
            self._heard, self._word = [""], wandb_sink.DONE

        def waits(self) -> bool:
            if len(seen) == len(states):
                return False
            seen.append(states[len(seen)])
            (directory / "work").mkdir(exist_ok=True)
            content = json.dumps(asdict(seen[-1]) | {"process": 1, "machine": "here"})
            (directory / "work" / "progress.json").write_text(content)
            return True

    about = json.loads((directory / "run.json").read_text())
    assert wandb_runs.log(directory, "offline", about, Script()) == []
    wandb.teardown()  # ends the process that writes the file; that of a run ends by itself
    runs = logged(directory / "wandb")
    assert set(runs) == {"run"} and runs["run"]["exit"] == 1, "what was logged stays, without results"
    whole = runs["run"]
    first = "first_means/faces/error_a/e4e_pti"
    history = [row for row in whole["history"] if "images" in row]
    assert [row["images"] for row in history] == [0, 20, 27] and [row.get(first) for row in history] == [None, 0.5, 0.4]
    assert [row["progress/phase"] for row in history] == ["inverting", "inverting", "scoring"]
    assert history[1]["progress/seconds_left"] == 90 and history[2]["progress/scoring_seconds"] >= 0
    assert whole["axes"]["first_means/*"] == whole["axes"]["progress/*"] == "images"


@pytest.mark.slow
def test_what_follows_a_run_ends_with_it(
    directory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, **settings: Any) -> subprocess.Popen[str]:
        started.append(subprocess.Popen(*arguments, **settings))
        return started[-1]

    monkeypatch.setattr(wandb_sink, "subprocess", SimpleNamespace(Popen=start, PIPE=subprocess.PIPE))
    about = json.loads((directory / "run.json").read_text())
    with wandb_sink.following(directory, "", about) as log:
        assert log() and not started
    with pytest.raises(KeyboardInterrupt), wandb_sink.following(directory, "offline", about):
        raise KeyboardInterrupt
    assert started[0].wait(60) == 1
    assert logged(directory / "wandb")["run"]["exit"] == 1 and not caplog.text


def test_only_the_logging_itself_imports_the_package() -> None:
    """Everything else runs where it is not installed."""

    def importing(lazy: bool) -> set[str]:
        found = {module: " ".join(map(ast.unparse, imports(ast.parse(path.read_text()), lazy)))
                 for module, path in files().items() if "wandb" in path.read_text()}  # fmt: skip
        return {module for module, text in found.items() if re.search(r"\b(import|from) wandb\b", text)}

    assert importing(lazy=False) == set() and importing(lazy=True) == {"reports.wandb_runs"}


def test_the_exit_code_of_a_run_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    frame = rows(3)
    monkeypatch.setattr(wandb_sink, "push", lambda directory, mode: bool(asked.append(mode)))  # False: it failed
    # The rows are on disk already; a run has nothing else to say here.
    monkeypatch.setattr("benchmarks.engine.export.compact", lambda run: write(tmp_path, frame, run_json(3)))
    monkeypatch.setattr("benchmarks.engine.export.describe", lambda plan: run_json(3))
    monkeypatch.setattr("reports.build.build", lambda *arguments, **named: [])
    run: Any = SimpleNamespace(plan=None, out=tmp_path)
    written = report.write(run)
    for mode in ("", "offline"):
        assert report.logged(written, Namespace(wandb=mode, json=False, quiet=True)) == 0
    assert asked == ["offline"]
    lose(frame, "plain", lambda image: image == "im000", "no face")
    assert report.write(run).code == 1
