"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _mode() -> int:
    """Permissions of a new file under the user's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


MODE = _mode()


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder, which takes the place of `path` when the block ends without an error."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if folder and not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{stem}.{uuid.uuid4().hex}{suffix}.tmp")
    try:
        yield Path(temporary)
        os.chmod(temporary, MODE)  # some writers, as safetensors, make files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically; its folder is made."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically, names that are not UTF-8 as escapes; its folder is made."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))
