"""Files that appear whole or not at all, under the user's umask."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inversion_bench import files


def test_files_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    with files.atomic(tmp_path / "a.safetensors") as temporary:
        save_file({"a": torch.zeros(1)}, temporary)  # makes files that only their owner reads
    files.write_text(tmp_path / "b.txt", "b")
    for name in ("a.safetensors", "b.txt"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


def test_a_file_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "before"
