"""Names that become files: safe everywhere, or refused wherever they come from."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from benchmarks.engine.config import load_suite
from benchmarks.engine.merge import refuse_unsafe
from benchmarks.engine.types import Row
from benchmarks.errors import ConfigError
from datasets.folder import photographs
from inversion_bench.names import MOST, is_safe, safe_name, shown

HOSTILE = ["", ".", "..", "...", "../../x", "/etc/x", "a/b", "a\\b", "-rf", ".hidden", "CON", "nul.txt", "a" * 250,
           "new\nline", "\u202egnp", os.fsdecode(b"\xff\xfe-no"), "a\0b", "a:b", "x."]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_names_are_made_safe(text: str, ascii_only: bool, tmp_path: Path) -> None:
    assert not is_safe(text)
    name = safe_name(text, ascii_only)
    assert is_safe(name) and len(name) <= MOST and safe_name(text, ascii_only) == name
    (tmp_path / f"{name}.safetensors").touch()
    assert [path.parent for path in tmp_path.rglob("*.safetensors")] == [tmp_path]


def test_good_names_stay_and_scripts_are_kept_where_they_may() -> None:
    assert safe_name("P003-emotion-08_b.2") == "P003-emotion-08_b.2"
    assert safe_name("\u00e9\u4e2d", ascii_only=False) == "\u00e9\u4e2d" and is_safe(safe_name("\u00e9\u4e2d"))
    long = [safe_name("a" * 200 + end) for end in "xy"]
    assert long[0] != long[1] and shown(os.fsdecode(b"a\xff")) == "a\\udcff"


def test_photographs_get_names_of_their_own(tmp_path: Path) -> None:
    files = [Path("a.png"), Path("b/A.png"), Path("...jpg"), Path("a-2.png"), Path(os.fsdecode(b"\xff.png"))]
    found = photographs(files, tmp_path / "set", "none", 16)
    assert [record.id for record in found.records][:2] == ["a", "A-2"] and len(found.failures) == len(files)
    assert all(is_safe(record.id) for record in found.records)


def test_suites_and_rows_with_other_names_are_refused(tmp_path: Path) -> None:
    for name in ("../../x", "..", "a/b", ""):
        file = tmp_path / "s.yaml"
        file.write_text(json.dumps({"base": "smoke", "name": name}))
        if name:
            with pytest.raises(ConfigError, match="not a safe name of a folder"):
                load_suite(str(file))
    with pytest.raises(ValueError, match="no row's"):
        Row.from_json({"image": "../x", "status": "ok", "attempt": 1})
    rows = tmp_path / "run" / "inversions" / "k" / "rows-1.jsonl"
    rows.parent.mkdir(parents=True)
    rows.write_text('{"image": "good"}\n{"image": "../../../victim/mine"}\n')
    with pytest.raises(ConfigError, match=r"rows-1\.jsonl: a row has the image '\.\./\.\./\.\./victim/mine'"):
        refuse_unsafe(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
