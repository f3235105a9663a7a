"""Results on disk under kills, torn lines, repeated attempts and failing writes."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.engine import store as storing
from benchmarks.engine.store import InversionStore, JsonLines, check_version, finite, read_lines
from benchmarks.engine.types import Provenance, Row, Score
from benchmarks.errors import ConfigError
from datasets.assets import sha256
from inversion_bench.files import write_bytes
from methods.base import Inversion

ROWS = st.lists(
    st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))),
    min_size=1,
    max_size=5,
)


def row(image: str, status: str, attempt: int, **more: object) -> dict[str, object]:
    return {"image": image, "status": status, "attempt": attempt, "reason": "", **more}


def inversion(n: int = 1) -> Inversion:
    stream = torch.Generator().manual_seed(0)
    draw = torch.rand(n, 3, 8, 8, generator=stream) * 2 - 1
    return Inversion(
        ids=tuple(f"set/i{i}" for i in range(n)),
        latent=torch.randn(n, 10, 16, generator=stream),
        space="W+",
        image=draw,
        steps=torch.full((n,), 7),
        weights=({"convs.0.conv.weight": torch.randn(1, 2, 3, generator=stream)},) * n,
        noise=([torch.randn(1, 1, 4 * 2**i, 4 * 2**i, generator=stream) for i in range(11)],) * n,
    )


def put(store: InversionStore, image: str) -> None:
    """The files that a row of status ok speaks of."""
    store.folder.mkdir(parents=True, exist_ok=True)
    store.latent(image).write_bytes(b"latent")
    store.picture(image).write_bytes(b"picture")


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, cut=st.integers(1, 40))
def test_torn_line_is_ignored_and_left_behind(tmp_path_factory, rows, cut):
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    lines = JsonLines(path)
    lines.append(*rows)
    whole = path.read_bytes()
    last = len(whole) - whole[:-1].rfind(b"\n") - 1  # of the last line, with its newline
    path.write_bytes(whole[: len(whole) - min(max(cut, 2), last - 1)])
    assert list(read_lines([path])) == rows[:-1]
    lines.append(rows[-1], {"after": 1})
    assert list(read_lines([path])) == [*rows, {"after": 1}]


def test_other_content_is_ignored(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\x00\x00\xff\n[1]\n3\n\n" + b'{"image": "a"}\r\n' + b'{"image": "b"}')
    assert [found["image"] for found in read_lines([path])] == ["a", "b"]


def test_nan_never_reaches_the_file(tmp_path):
    lines = JsonLines(tmp_path / "rows.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        lines.append({"value": float("nan")})
    assert not list(read_lines(sorted(tmp_path.glob("*"))))
    assert finite(float("nan")) is None and finite(float("-inf")) is None and finite(2.0) == 2.0


@settings(max_examples=50, deadline=None)
@given(attempts=st.lists(st.sampled_from(["ok", "failed"]), min_size=1, max_size=6), data=st.data())
def test_standing_row(tmp_path_factory, attempts, data):
    """However attempts are spread over writers: the last ok one stands, else the last."""
    store = InversionStore(tmp_path_factory.mktemp("inversions"), "key")
    put(store, "a")
    for n, status in enumerate(attempts, start=1):
        writer = data.draw(st.sampled_from("xyz"))
        JsonLines(store.folder / f"rows-{writer}.jsonl").append(row("a", status, n))
    good = [n for n, status in enumerate(attempts, start=1) if status == "ok"]
    standing = store.rows()["a"]
    assert standing.attempt == (good[-1] if good else len(attempts))
    assert (standing.status == "ok") == bool(good)


@pytest.mark.parametrize("lost", ["latent", "picture"])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_ok_needs_its_files(tmp_path, lost, how):
    store = InversionStore(tmp_path, "key")
    put(store, "a")
    store.writer().append(row("a", "ok", 1))
    assert store.rows()["a"].status == "ok"
    path: Path = getattr(store, lost)("a")
    path.unlink() if how == "absent" else path.write_bytes(b"")
    assert "a" not in store.rows(), "the image counts as not done"


def test_round_trip(tmp_path):
    store, one = InversionStore(tmp_path, "key"), inversion()
    saved = store.save("i0", one, keep_weights=True)
    assert saved == (store.sizes("i0"), (sha256(store.latent("i0")), sha256(store.picture("i0"))))
    found = store.load("i0", "set/i0")
    assert found.ids == ("set/i0",) and found.space == "W+" and found.steps.tolist() == [7]
    assert torch.equal(found.latent, one.latent)
    assert found.noise[0] is not None and one.noise[0] is not None
    assert len(found.noise[0]) == 11  # level 10 comes after level 9, not after level 1
    assert all(torch.equal(a, b) for a, b in zip(found.noise[0], one.noise[0], strict=True))
    assert found.weights[0] is not None and one.weights[0] is not None
    assert torch.equal(found.weights[0]["convs.0.conv.weight"], one.weights[0]["convs.0.conv.weight"])
    assert float((found.image - one.image).abs().max()) <= 1 / 255 + 1e-6
    assert sorted(p.name for p in store.folder.iterdir()) == ["i0.png", "i0.safetensors"]


def test_weights_are_left_out_unless_asked_for(tmp_path):
    store = InversionStore(tmp_path, "key")
    store.save("i0", inversion(), keep_weights=False)
    assert store.load("i0", "set/i0").weights == (None,)


def test_row_round_trip():
    score = Score("locality", "locality_mse", 1, "a", None, "failed", "out of memory")
    where = Provenance("cpu", "float32", 8, 1, "2", "c")
    made = Row("a", "ok", 2, seconds=1.5, cpu_seconds=1.2, load=0.5, batch_images=4, steps=7, provenance=where,
               files=(3, 4), weights_kept=False, scores=(score,), sha256=("d", "e"))  # fmt: skip
    assert Row.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert Row.from_json(row("a", "failed", 1)) == Row("a", "failed", 1)


@pytest.mark.parametrize("layout", ["cells/x/cell.json", "inversions/x/stage.json"])
def test_results_of_another_version_are_refused(tmp_path, layout):
    path = tmp_path / layout
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"store version 1, this one reads 3\); choose another folder with --out"):
        check_version(tmp_path)
    path.write_text('{"store": 2')  # torn
    assert layout.startswith("cells") or check_version(tmp_path) is None


@pytest.mark.parametrize("breaks", ["latent", "picture"])
def test_failing_save_leaves_the_old_inversion(tmp_path, monkeypatch, breaks):
    store = InversionStore(tmp_path, "key")
    store.save("i0", inversion(), keep_weights=False)
    files = sorted(store.folder.iterdir())
    picture = store.picture("i0").read_bytes()

    def full(path: Path, data: bytes) -> None:
        if path == getattr(store, breaks)("i0"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_bytes(path, data)

    monkeypatch.setattr(storing, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        store.save("i0", inversion(), keep_weights=False)
    assert sorted(store.folder.iterdir()) == files and store.picture("i0").read_bytes() == picture
    assert torch.equal(store.load("i0", "set/i0").latent, inversion().latent)


def test_writers_do_not_share_a_file(tmp_path):
    store = InversionStore(tmp_path, "key")
    first, second = store.writer(), store.writer()
    first.append(row("a", "failed", 1), row("b", "failed", 1))
    second.append(row("c", "failed", 1))
    assert first.path != second.path and set(store.rows()) == {"a", "b", "c"}
    assert json.loads(second.path.read_text())["image"] == "c"
