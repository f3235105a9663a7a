"""Damage that nobody sees: a changed row, score, image or latent is named, and never counts."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from benchmarks.cli.report import intact
from benchmarks.engine.store import SUM, InversionStore, JsonLines, read_lines
from benchmarks.engine.types import Row
from benchmarks.engine.verify import verify
from datasets.assets import sha256


def stored(out: Path) -> InversionStore:
    store = InversionStore(out, "key")
    store.folder.mkdir(parents=True)
    for name in ("a", "b"):
        store.latent(name).write_bytes(b"latent of " + name.encode())
        store.picture(name).write_bytes(b"picture of " + name.encode())
        row = Row(
            name, "ok", 1, files=store.sizes(name), sha256=(sha256(store.latent(name)), sha256(store.picture(name)))
        )
        store.writer().append(row.to_json())
    JsonLines(out / "scores" / "key" / "mse-v1.jsonl").append({"image": "a", "value": 0.5}, {"image": "b", "value": 1})
    return store


def test_what_is_whole_is_counted(tmp_path: Path) -> None:
    stored(tmp_path)
    found = verify(tmp_path)
    assert (found.rows, found.files, found.unchecked, found.problems) == (4, 4, 0, []) and intact(tmp_path)


def test_every_damage_is_named(tmp_path: Path) -> None:
    store = stored(tmp_path)
    picture = store.picture("a")
    before = picture.stat()
    picture.write_bytes(b"another of a".ljust(before.st_size)[: before.st_size])  # of the same size and date
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    store.latent("b").unlink()
    scores = tmp_path / "scores" / "key" / "mse-v1.jsonl"
    scores.write_text(scores.read_text().replace("0.5", "0.4"))
    said = verify(tmp_path).problems
    assert len(said) == 3 and not intact(tmp_path)
    assert any(f"{scores}, line 1: the row of 'a' was changed" in each for each in said)
    assert any(f"{picture}: was changed" in each for each in said)
    assert any(f"{store.latent('b')}: is missing" in each for each in said)
    assert [row["image"] for row in read_lines([scores])] == ["b"], "a changed score is no score"


def test_edited_images_are_compared_with_their_newest_row(tmp_path: Path) -> None:
    folder = tmp_path / "edits" / "key"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"second")
    lines = JsonLines(folder / "rows-1.jsonl")
    for made, content in ((1, b"first"), (2, b"second")):
        lines.append({"image": "a", "made": made, "sha256": {"a.png": hashlib.sha256(content).hexdigest()}})
    assert not verify(tmp_path).problems
    (folder / "a.png").write_bytes(b"third!")
    assert verify(tmp_path).problems == [f"{folder / 'a.png'}: was changed after it was stored"]


def test_half_lines_and_rows_of_before_are_no_damage(tmp_path: Path) -> None:
    store = stored(tmp_path)
    lines = next(store.folder.glob("rows-*"))
    with lines.open("a") as handle:
        handle.write('{"image": "c", "status": "ok", "attempt": 1}\n{"image": "d", "sta')
    found = verify(tmp_path)
    assert found.unchecked == 3 and not found.problems


def test_lines_that_are_no_rows_count_for_nothing(tmp_path: Path) -> None:
    store = stored(tmp_path)
    deep = "[" * 100_000
    with next(store.folder.glob("rows-*")).open("a") as handle:
        for line in ("{}", "[]", "3", deep, '{"image": "c"}', '{"image": "c", "status": "ok", "attempt": "x"}',
                     '{"image": "../c", "status": "ok", "attempt": 1}', '{"image": 3}',
                     json.dumps({"image": "c", "status": "ok", "attempt": 1, SUM: "0" * 16})):  # fmt: skip
            handle.write(f"{line}\n")
    assert sorted(store.rows()) == ["a", "b"]
