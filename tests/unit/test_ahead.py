"""Work ahead in threads: the same results in the same order, errors where they belong."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.engine import runner, writer
from benchmarks.engine.ahead import ahead, attempted
from benchmarks.engine.measure import measured
from benchmarks.engine.run import Run
from benchmarks.engine.store import InversionStore, read_lines
from benchmarks.engine.types import Row, Score
from benchmarks.engine.writer import InversionWriter
from benchmarks.perf.null import null_plan, simulated
from benchmarks.protocols import reconstruction
from datasets.assets import sha256
from datasets.base import Manifest, Record
from datasets.images import pixel_sha256, save_png, to_tensor
from methods.base import Inversion
from metrics import identity
from tests.drawn_faces import face_picture


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_are_in_order_and_few_are_begun(threads: int) -> None:
    begun: list[int] = []

    def slow(n: int) -> tuple[int, bool]:
        begun.append(n)
        time.sleep(0.002 * (n % 3))
        return n * n, threading.current_thread() is threading.main_thread()

    seen = []
    for n, (square, main) in enumerate(ahead(iter(range(20)), slow, threads)):
        assert main == (not threads)
        assert max(begun) <= n + threads, "what nobody waits for takes memory"
        seen.append(square)
    assert seen == [n * n for n in range(20)]


@pytest.mark.parametrize("threads", [0, 3])
def test_an_error_is_raised_where_its_result_is_due(threads: int) -> None:
    cores, seen = torch.get_num_threads(), []
    with pytest.raises(ZeroDivisionError):
        for result in ahead(range(-3, 9), lambda n: 6 // n, threads):
            seen.append(result)
    assert seen == [-2, -3, -6]
    assert torch.get_num_threads() == cores
    kept = attempted(lambda n: 6 // n, 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            kept()
    assert attempted(lambda n: 6 // n, 2)() == 3


class Pixels:
    """In place of an identity network."""

    def embed(self, crops: Tensor) -> Tensor:
        return torch.nn.functional.normalize(crops.flatten(1), dim=1)


def test_scores_are_the_same_with_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skins = [(0.4 + 0.04 * n, 0.1, -0.1) for n in range(5)]
    pictures = {f"{n}": face_picture(skin, side=128) for n, skin in enumerate(skins)}
    pictures["no-face"] = face_picture(side=128).point(lambda _: 90)
    for name, picture in pictures.items():
        save_png(picture, tmp_path / f"{name}.png")
    records = tuple(Record(name, f"{name}.png", pixel_sha256(picture)) for name, picture in pictures.items())
    manifest = Manifest("simulated", "Faces", 1, "as drawn", 128, "none", "out", tmp_path, records)
    protocols = {"reconstruction": {"metrics": ["mse", "id_curricularface", "psnr"]}}
    run = Run(null_plan(manifest, protocols), tmp_path / "out")
    (stage_run,), (protocol,) = run.plan.stage_runs, run.plan.protocols
    store = run.store(stage_run)
    for name, picture in pictures.items():
        image = to_tensor(picture)[None] * 0.9
        inversion = Inversion((name,), torch.zeros(1, 2, 8), "W+", image, torch.zeros(1, dtype=torch.long))
        files, _ = store.save(name, inversion, False)
        store.writer().append(Row(name, "ok", 1, files=files).to_json())
    items = protocol.items(run, stage_run)
    store.picture("3").write_bytes(store.picture("3").read_bytes()[:900])  # torn behind its row
    monkeypatch.setattr(identity, "_network", lambda *_: Pixels())

    def scores(threads: int) -> list[Score]:
        for cache in (identity._targets, identity._faces):
            cache.entries.clear()
        monkeypatch.setattr(reconstruction, "threads_beside", lambda device: threads)
        return list(measured(run, protocol, items))

    alone, beside = scores(0), scores(4)
    assert alone == beside and len(alone) == 3 * len(pictures)
    status = {(one.image, one.metric): one.status for one in alone}
    assert {key for key, value in status.items() if value != "ok"} == {
        ("3", "mse"), ("3", "psnr"), ("3", "id_curricularface"), ("no-face", "id_curricularface")
    }  # fmt: skip
    assert status["3", "mse"] == "failed" and status["no-face", "id_curricularface"] == "undefined"
    values = [one.value for one in alone if one.metric == "id_curricularface" and one.value]
    assert all(0.9 < value <= 1 for value in values)


@pytest.mark.parametrize("threads", [0, 3])
def test_rows_follow_their_files_in_order(threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (runner, writer):
        monkeypatch.setattr(module, "threads_beside", lambda device: threads)
    (tmp_path / "images").mkdir()
    run = Run(null_plan(simulated(tmp_path / "images", 20, 64)), tmp_path / "out")
    (stage_run,) = run.plan.stage_runs
    store, names = run.store(stage_run), run.manifest(stage_run).ids
    (tmp_path / "images" / f"{names[3]}.png").write_bytes(b"no picture")

    def lines() -> list[str]:
        return [row["image"] for row in store.row_files().new_rows()]

    save, append = InversionStore.save, InversionWriter._append

    def full(self: InversionStore, image: str, *rest: Any) -> Any:
        if image == names[5]:
            raise OSError("disk full")
        return save(self, image, *rest)

    def killed(self: InversionWriter, rows: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(InversionStore, "save", full)
    with pytest.raises(OSError, match="disk full"):
        runner.invert(run)
    assert lines() == [*names[:3], names[4]], "what was saved before the error has its row"
    monkeypatch.setattr(InversionStore, "save", save)
    monkeypatch.setattr(InversionWriter, "_append", killed)
    with pytest.raises(KeyboardInterrupt):
        runner.invert(run)
    assert all(store.sizes(name)[1] for name in names[5:8]), "files are there, rows are not"
    assert len(lines()) == 4
    monkeypatch.setattr(InversionWriter, "_append", append)
    assert runner.invert(run) == 16
    rows = store.rows()
    assert {name: row.status for name, row in rows.items()} == dict.fromkeys(names, "ok") | {names[3]: "failed"}
    assert all(row.attempt == 1 for row in rows.values()) and "not a readable image" in rows[names[3]].reason
    by_writer = [[row["image"] for row in read_lines([path])] for path in store.row_files().paths()]
    assert sorted(map(len, by_writer)) == [4, 16]
    new = [name for name in max(by_writer, key=len) if name != names[3]]
    assert new == names[5:]
    digests = {name: rows[name].sha256 for name in new}
    assert digests == {name: tuple(sha256(path) for path in (store.latent(name), store.picture(name))) for name in new}
