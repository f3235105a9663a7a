"""Results on disk, written as soon as they exist, safe against kills and against several writers.

    DIR/inversions/<key>/stage.json            what the stage run is
    DIR/inversions/<key>/batches.json          images at once that fit a device's memory, where a stage's own do not
    DIR/inversions/<key>/rows-<worker>.jsonl  one line an attempt at an image, append-only, one file a process
    DIR/inversions/<key>/<image>.png          the reconstruction, 8 bit, which everything is scored from
    DIR/inversions/<key>/<image>.safetensors  latent, own noise maps; tuned weights and feature maps when kept
    DIR/scores/<key>/<metric>-v<n>.jsonl      one line an image
    DIR/work/rows/<key>/                      names of the files of rows, so that nobody lists the images to find them
    DIR/results.parquet, DIR/run.json         compacted for reading; never the source

A torn last line is ignored. Files appear complete or not at all (inversion_bench.files).
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import numpy as safetensors
from safetensors import safe_open
from torch import Tensor

from benchmarks.engine.types import STORE_VERSION, Row
from benchmarks.errors import ConfigError
from datasets.images import encoded_png, read_rgb, to_image, to_tensor
from inversion_bench.files import write_bytes, write_text
from methods.base import Inversion
from methods.feature_maps import packed, unpacked
from methods.synthesis import Weights

JsonRow = dict[str, Any]
SUM = "checksum"  # of a line of rows, a key of its own
_line = json.JSONEncoder(allow_nan=False, sort_keys=True).encode


def check_version(out: Path) -> None:
    """Raises ConfigError for a folder whose results another version of the suite wrote."""
    versions = {1} if (out / "cells").is_dir() else set()
    for path in (out / "inversions").glob("*/stage.json"):
        try:
            versions.add(json.loads(path.read_bytes()).get("store", 1))
        except ValueError:
            continue  # torn by a power cut; it is written again
    if other := versions - {STORE_VERSION}:
        raise ConfigError(
            f"{out} holds results of another version of the suite (store version {min(other)}, this one reads "
            f"{STORE_VERSION}); choose another folder with --out, or remove this one and run again"
        )


def finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


class JsonLines:
    """Append-only rows of one writer."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, *rows: JsonRow) -> None:
        """Durable when it returns; several rows cost one write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(_line(row | {SUM: checksum(row)}) + "\n" for row in rows)
        # A kill in the middle of an earlier append leaves half a line; start on a new one.
        with self.path.open("ab+") as handle:
            if handle.tell():
                handle.seek(-1, os.SEEK_END)
                if handle.read(1) != b"\n":
                    handle.write(b"\n")
            handle.write(lines.encode())
            handle.flush()
            os.fsync(handle.fileno())


def checksum(row: JsonRow) -> str:
    """What a row's line carries, by which a line that was changed is known: 16 hexadecimal digits of its content."""
    return sha256(_line(row).encode()).hexdigest()[:16]


def read_lines(paths: list[Path]) -> Iterator[JsonRow]:
    for path in paths:
        yield from _parse(path.read_bytes())


def _parse(data: bytes) -> Iterator[JsonRow]:
    for line in data.splitlines():
        row = parse_line(line)
        if row is not None:
            yield row


def parse_line(line: bytes) -> JsonRow | None:
    """A row without its checksum; None for a line that was torn by a kill or changed: its image counts as not done."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            return None
        stored_sum = row.pop(SUM, None)
        intact = isinstance(row.get("image"), str) if stored_sum is None else stored_sum == checksum(row)
        return row if intact else None
    except (ValueError, RecursionError):
        return None


def read_new_lines(path: Path, start: int) -> tuple[list[JsonRow], int]:
    """Rows of the complete lines from byte `start` on, and the byte where the next reading starts."""
    with path.open("rb") as handle:
        handle.seek(start)
        data = handle.read()
    complete = data[: data.rfind(b"\n") + 1]
    return list(_parse(complete)), start + len(complete)


class RowFiles:
    """The row files of a folder: one for each writer, which is named in a small folder before it is begun.

    Workers look for others' new rows after every chunk. The folder itself, which holds all images, is listed once.
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

    def new_rows(self) -> Iterator[JsonRow]:
        """Rows that any writer has added since the last call."""
        names = set(os.listdir(self.names)) if self.names.exists() else set()
        if not self._listed:
            names |= {path.name for path in self.paths()}
            self._listed = True
        for path in sorted({*self._read, *(self.folder / name for name in names)}):
            start = self._read.setdefault(path, 0)
            # A file that is named may not be begun yet.
            if path.exists() and path.stat().st_size > start:
                rows, self._read[path] = read_new_lines(path, start)
                yield from rows


class Attempts:
    """The attempts at each image of a stage run, kept up to date by reading only new rows.

    Args:
        files: the rows of the stage run.
        planned: attempts at each image of a run when it began; an image with more is done.
    """

    def __init__(self, files: RowFiles, planned: Mapping[str, int] = MappingProxyType({})):
        self.files, self.planned = files, planned
        self.count: dict[str, int] = {}
        self.rows: dict[str, Row] = {}  # of each image the row of highest rank

    def refresh(self) -> None:
        for line in self.files.new_rows():
            try:
                row = Row.from_json(line)
            except (TypeError, ValueError, KeyError):
                continue  # no row of this suite; its image counts as not done
            self.count[row.image] = max(self.count.get(row.image, 0), row.attempt)
            if row.image not in self.rows or row.rank >= self.rows[row.image].rank:
                self.rows[row.image] = row

    def done(self, image: str) -> bool:
        return self.count.get(image, 0) > self.planned.get(image, -1)


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
        """The row of every image that counts: the last ok one if there is any, else the last attempt."""
        rows = self.counting().items()
        return {image: row for image, row in rows if row.status != "ok" or self.complete(row)}

    def counting(self) -> dict[str, Row]:
        """The same whether or not the files are there."""
        attempts = Attempts(self.row_files())
        attempts.refresh()
        return attempts.rows

    def complete(self, row: Row) -> bool:
        """Whether the image's files have their sizes. A power cut can tear them behind a row that says ok."""
        sizes = self.sizes(row.image)
        return sizes == row.files if row.files else all(sizes)

    def sizes(self, image: str) -> tuple[int, int]:
        """Bytes of the latent's file and of the image's; 0 for one that is absent."""
        latent, picture = (
            path.stat().st_size if path.exists() else 0 for path in (self.latent(image), self.picture(image))
        )
        return latent, picture

    def batch_limit(self, device: str) -> int:
        """How many images at once have fitted a device's memory; 0 where nothing is known."""
        return int(self._batches().get(device, 0))

    def limit_batches(self, device: str, size: int) -> None:
        """Keep how many fit, so that whoever resumes the stage run on such a device computes as many."""
        write_text(self.folder / "batches.json", json.dumps({**self._batches(), device: size}))

    def _batches(self) -> dict[str, int]:
        try:
            found = json.loads((self.folder / "batches.json").read_bytes())
        except (OSError, ValueError):  # absent, or torn by a power cut
            return {}
        return found if isinstance(found, dict) else {}

    def picture(self, image: str) -> Path:
        return self.folder / f"{image}.png"

    def latent(self, image: str) -> Path:
        return self.folder / f"{image}.safetensors"

    def save(self, image: str, inversion: Inversion, keep_weights: bool) -> tuple[tuple[int, int], tuple[str, str]]:
        """Store an inversion of length 1: the latent first, the image last, as it marks it done.

        Args:
            image: its id.
            inversion: the inversion.
            keep_weights: whether its tuned weights and feature maps are stored, too.

        Returns:
            Bytes and SHA-256 of the latent's file and of the image's.
        """
        tensors: dict[str, Tensor] = {"latent": inversion.latent[0].detach().cpu().contiguous()}
        for i, level in enumerate(inversion.noise[0] or []):
            tensors[f"noise.{i}"] = level.detach().cpu().contiguous()
        if keep_weights and inversion.weights[0] is not None:
            tensors |= {f"weights.{k}": v.detach().cpu().contiguous() for k, v in inversion.weights[0].items()}
        metadata = {"space": inversion.space, "steps": str(int(inversion.steps[0]))}
        if keep_weights:
            maps, about = packed(inversion.features[0])
            tensors, metadata = tensors | maps, metadata | about
        latent = safetensors.save({name: tensor.numpy() for name, tensor in tensors.items()}, metadata)
        picture = encoded_png(to_image(inversion.image[0]))
        write_bytes(self.latent(image), latent)
        write_bytes(self.picture(image), picture)
        return (len(latent), len(picture)), (sha256(latent).hexdigest(), sha256(picture).hexdigest())

    def load(self, image: str, image_id: str) -> Inversion:
        """The stored inversion, of length 1, under the id that stages know it by."""
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
            features=(unpacked(tensors, metadata),),
        )
