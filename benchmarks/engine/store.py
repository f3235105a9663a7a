"""Results on disk, written as soon as they exist, safe against kills and against several writers.

    DIR/inversions/<key>/stage.json            what the stage run is
    DIR/inversions/<key>/rows-<worker>.jsonl  one line an attempt at an image, append-only, one file a process
    DIR/inversions/<key>/<image>.png          the reconstruction, 8 bit, from which everything is scored
    DIR/inversions/<key>/<image>.safetensors  latent, own noise maps, and the tuned weights when they are kept
    DIR/scores/<key>/<metric>-v<n>.jsonl one line an image
    DIR/work/rows/<key>/                 names of the files of rows, so that nobody lists the pictures to find them
    DIR/results.parquet, DIR/run.json    compacted for reading; never the truth

A torn last line is ignored. Files appear whole: temporary name, then os.replace.
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from datasets.images import read_rgb, save_png, to_image, to_tensor
from methods.base import Inversion, Weights

Row = dict[str, Any]


def write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


class JsonLines:
    """Append-only rows of one writer."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, *rows: Row) -> None:
        """Durable when it returns; several rows cost one write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, allow_nan=False, sort_keys=True) + "\n" for row in rows)
        # A kill in the middle of an earlier append leaves half a line; start on a new one.
        with self.path.open("ab+") as handle:
            if handle.tell():
                handle.seek(-1, os.SEEK_END)
                if handle.read(1) != b"\n":
                    handle.write(b"\n")
            handle.write(lines.encode())
            handle.flush()
            os.fsync(handle.fileno())


def read_lines(paths: list[Path]) -> Iterator[Row]:
    for path in paths:
        yield from _parse(path.read_bytes())


def _parse(data: bytes) -> Iterator[Row]:
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # torn by a kill; its image counts as not done
        if isinstance(row, dict):
            yield row


def read_new_lines(path: Path, start: int) -> tuple[list[Row], int]:
    """Rows of the whole lines from byte `start` on, and the byte where the next reading starts."""
    with path.open("rb") as handle:
        handle.seek(start)
        data = handle.read()
    whole = data[: data.rfind(b"\n") + 1]
    return list(_parse(whole)), start + len(whole)


class RowFiles:
    """The row files of a folder: one a writer; each is named in a small folder of its own before it is begun.

    Whoever works in the folder looks for others' new rows after every image. A listing of the folder itself, which
    holds all pictures, is made once.
    """

    def __init__(self, folder: Path, names: Path):
        self.folder, self.names = folder, names
        self._read: dict[Path, int] = {}
        self._listed = False

    def writer(self) -> JsonLines:
        name = f"rows-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self.names.mkdir(parents=True, exist_ok=True)
        (self.names / name).touch()
        return JsonLines(self.folder / name)

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob("rows-*.jsonl"))

    def new_rows(self) -> Iterator[Row]:
        """Rows that have been written since the last call, by whomever."""
        found = set(os.listdir(self.names)) if self.names.exists() else set()
        if not self._listed:
            found |= {path.name for path in self.paths()}
            self._listed = True
        for path in sorted({*self._read, *(self.folder / name for name in found)}):
            start = self._read.setdefault(path, 0)
            # A file that is named may not be begun yet.
            if path.exists() and path.stat().st_size > start:
                rows, self._read[path] = read_new_lines(path, start)
                yield from rows


def rank(row: Row) -> tuple[bool, int]:
    """Which of an image's attempts stands: the highest."""
    return row["status"] == "ok", row["attempt"]


class InversionStore:
    """The results of one stage run."""

    def __init__(self, root: Path, key: str):
        self.folder = root / "inversions" / key
        self.names = root / "work" / "rows" / key

    def row_files(self) -> RowFiles:
        return RowFiles(self.folder, self.names)

    def writer(self) -> JsonLines:
        return self.row_files().writer()

    def rows(self) -> dict[str, Row]:
        """The standing row of every image: the last ok one if there is any, else the last attempt."""
        standing: dict[str, Row] = {}
        for row in read_lines(self.row_files().paths()):
            image, old = row["image"], standing.get(row["image"])
            if old is None or rank(row) >= rank(old):
                standing[image] = row
        return {image: row for image, row in standing.items() if row["status"] != "ok" or self.complete(row)}

    def complete(self, row: Row) -> bool:
        """Whether the image's files are there and whole. A power cut can tear them behind a row that says ok."""
        found = self.sizes(row["image"])
        return found == row["bytes"] if "bytes" in row else all(found)

    def sizes(self, image: str) -> list[int]:
        """Bytes of the latent's file and of the picture; 0 for one that is not there."""
        paths = (self.latent(image), self.picture(image))
        return [path.stat().st_size if path.exists() else 0 for path in paths]

    def picture(self, image: str) -> Path:
        return self.folder / f"{image}.png"

    def latent(self, image: str) -> Path:
        return self.folder / f"{image}.safetensors"

    def save(self, image: str, inversion: Inversion, keep_weights: bool) -> None:
        """Store one image's inversion (of length 1): the latent first, the picture last, as it marks it done."""
        tensors: dict[str, Tensor] = {"latent": inversion.latent[0].detach().cpu().contiguous()}
        for i, level in enumerate(inversion.noise[0] or []):
            tensors[f"noise.{i}"] = level.detach().cpu().contiguous()
        if keep_weights and inversion.weights[0] is not None:
            tensors |= {f"weights.{k}": v.detach().cpu().contiguous() for k, v in inversion.weights[0].items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{image}.{uuid.uuid4().hex}.tmp"
        try:
            save_file(tensors, temporary, metadata={"space": inversion.space, "steps": str(int(inversion.steps[0]))})
            os.replace(temporary, self.latent(image))
        finally:
            temporary.unlink(missing_ok=True)
        save_png(to_image(inversion.image[0].detach().cpu()), self.picture(image))

    def load(self, image: str, image_id: str) -> Inversion:
        """The stored inversion, of length 1, under the id that stages seed by."""
        with safe_open(self.latent(image), framework="pt") as handle:
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
            metadata = handle.metadata() or {}
        levels = sorted((k for k in tensors if k.startswith("noise.")), key=lambda k: int(k.split(".")[1]))
        weights: Weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
        return Inversion(
            ids=(image_id,),
            latent=tensors["latent"][None],
            space=metadata["space"],
            image=to_tensor(read_rgb(self.picture(image)))[None],
            steps=torch.tensor([int(metadata["steps"])]),
            weights=(weights or None,),
            noise=([tensors[k] for k in levels] or None,),
        )
