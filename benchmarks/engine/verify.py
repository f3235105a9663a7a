"""Whether stored results are still what was written: rows by the checksums of their lines, files by those in the rows.

A kill can leave half a line, which counts for nothing and is no damage; a whole line that says something else is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine.store import SUM, InversionStore, JsonRow, parse_line, read_lines
from datasets.assets import sha256

_ROWS = ("inversions/*/rows-*.jsonl", "edits/*/rows-*.jsonl", "scores/*/*.jsonl")


@dataclass
class Verified:
    """What was looked at. unchecked: rows and files that an earlier state of the suite wrote without checksums."""

    rows: int = 0
    files: int = 0
    unchecked: int = 0
    problems: list[str] = field(default_factory=list)


def verify(out: Path) -> Verified:
    """Compare the rows, latents and images of a run with their checksums.

    Args:
        out: folder of the run.

    Returns:
        What was compared; each difference is a line of `problems` that names the file.
    """
    verified = Verified()
    for pattern in _ROWS:
        for path in sorted(out.glob(pattern)):
            _rows(path, verified)
    for folder in sorted((out / "inversions").glob("*/")):
        _files(InversionStore(out, folder.name), verified)
    for folder in sorted((out / "edits").glob("*/")):
        _edited(folder, verified)
    return verified


def _edited(folder: Path, verified: Verified) -> None:
    """Images that a protocol made: the newest row of each tells what they were."""
    newest: dict[str, JsonRow] = {}
    for row in read_lines(sorted(folder.glob("rows-*.jsonl"))):
        if isinstance(row.get("made"), int) and row["made"] >= newest.get(row["image"], row)["made"]:
            newest[row["image"]] = row
    for row in newest.values():
        if not isinstance(row.get("sha256"), dict):
            verified.unchecked += 1
            continue
        for name, wanted in row["sha256"].items():
            _compare(folder / Path(name).name, wanted, verified)


def _compare(path: Path, wanted: str, verified: Verified) -> None:
    verified.files += 1
    if not path.is_file():
        verified.problems.append(f"{path}: is missing")
    elif wanted != sha256(path):
        verified.problems.append(f"{path}: was changed after it was stored")


def _rows(path: Path, verified: Verified) -> None:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue  # torn by a kill
        if not isinstance(row, dict) or SUM not in row:
            verified.unchecked += 1
            continue
        verified.rows += 1
        if parse_line(line) is None:
            verified.problems.append(f"{path}, line {number}: the row of {row.get('image')!r} was changed")


def _files(store: InversionStore, verified: Verified) -> None:
    for image, row in store.counting().items():
        if row.status != "ok":
            continue
        if row.sha256 is None:
            verified.unchecked += 2
            continue
        for path, wanted in zip((store.latent(image), store.picture(image)), row.sha256, strict=True):
            _compare(path, wanted, verified)
