"""What all builders of data sets share: align and write many images, once, into the cache."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from PIL import Image
from tqdm.auto import tqdm

from datasets import alignment, assets, ffhq_alignment, images
from datasets.base import Label, Manifest, Record, load_manifest_file
from datasets.faces import Cut, cut
from datasets.scope import WHOLE
from inversion_bench.names import shown


@dataclass(frozen=True)
class Candidate:
    """A source image that may become an image of the set.

    read: opens it as RGB, may raise ImageError or NoFaceError. mask: opens the record's mask (mode L, the size of the
    prepared image), for an occluded image. face: which one is taken, counted from the largest, 1.
    """

    id: str
    read: Callable[[], Image.Image]
    labels: Mapping[str, Label] = field(default_factory=dict)
    mask: Callable[[], Image.Image] | None = None
    face: int = 1


AS_IS = "square_as_is"
FAILURES = "failures.tsv"
Prepare = Callable[[Candidate, int], "Image.Image | Cut"]


def aligned(candidate: Candidate, resolution: int) -> Image.Image:
    """The candidate's largest face in the tight frame. Raises ImageError or NoFaceError."""
    image = candidate.read()
    return alignment.align(image, alignment.find_face(image), resolution)


def ffhq_aligned(candidate: Candidate, resolution: int) -> Image.Image:
    """The candidate's largest face in FFHQ's frame. Raises ImageError or NoFaceError."""
    image = candidate.read()
    return ffhq_alignment.align(image, ffhq_alignment.frame_of_5(alignment.find_face(image)), resolution)


def as_is(candidate: Candidate, resolution: int) -> Image.Image:
    """A square image that is aligned already, resized to the resolution, bicubic. Raises ImageError."""
    return cut(candidate.read(), WHOLE, resolution).image


def build(
    head: Manifest,
    identity: Mapping[str, Any],
    candidates: Callable[[], Iterable[Candidate]],
    total: int | None = None,
    prepare: Prepare = ffhq_aligned,
    workers: int = 1,
    folder: Path | None = None,
) -> Manifest:
    """The set from the cache; where it is not there yet, it is made of `candidates`.

    An image that cannot be read or aligned becomes a record with its failure, and a line of failures.tsv.

    Args:
        head: the manifest without records.
        identity: what else the content depends on (options, hashes of sources).
        candidates: makes the source images; called only when the set is built.
        total: how many there are, for the progress bar.
        prepare: brings a source image to the resolution; `ffhq_aligned` detects the face, `as_is` takes a square.
        folder: where the set is built; its place in the cache by default.
        workers: threads that prepare images in parallel, for candidates that do not depend on one another; the set
            does not depend on it.
    """
    named, folder = folder is not None, folder or cached_folder(head, identity)
    if not folder.exists():
        assets.cache_folder(folder.parent)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{head.name}-") as work:
                    made = Path(work) / "made"
                    (made / "images").mkdir(parents=True)
                    work_on = partial(_record, folder=made, resolution=head.resolution, prepare=prepare)
                    pool = ThreadPoolExecutor(max(1, workers), initializer=torch.set_num_threads, initargs=(1,))
                    with _one_thread(), pool:
                        found = pool.map(work_on, candidates()) if workers > 1 else map(work_on, candidates())
                        records = tuple(
                            tqdm(found, total=total, desc=f"building {head.name}", unit="img", disable=named)
                        )
                    replace(head, records=records).save(made)
                    _report(records, made)
                    os.replace(made, folder)
                    if not named and any(record.failure for record in records):
                        tqdm.write(f"{head.name}: {_summary(records)}; all in {folder / FAILURES}", file=sys.stderr)
    return replace(load_manifest_file(folder), scope=head.scope)  # one that was built earlier may not say it


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: with several, sums differ in their last digits, and landmarks decide on pixels."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _report(records: Sequence[Record], folder: Path) -> None:
    """failures.tsv: id and reason of the images that are not in the set, where there are any."""
    failed = [f"{record.id}\t{' '.join(record.failure.split())}\n" for record in records if record.failure]
    if failed:
        (folder / FAILURES).write_text("id\treason\n" + "".join(failed), encoding="utf-8")


def _summary(records: Sequence[Record]) -> str:
    failed = [record for record in records if record.failure]
    named = ", ".join(record.id for record in failed[:3])
    return f"{len(failed)} of {len(records)} images could not be used ({named}{' ...' if len(failed) > 3 else ''})"


def cached_folder(head: Manifest, identity: Mapping[str, Any]) -> Path:
    """Where the set lies in the cache: its name, version and a hash of everything that its content depends on."""
    content = {"recipe": head.recipe, "resolution": head.resolution, **identity}
    tag = hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()[:12]
    return assets.cache_dir() / "datasets" / f"{head.name}-v{head.version}-{tag}"


def _record(candidate: Candidate, folder: Path, resolution: int, prepare: Prepare) -> Record:
    try:
        made = prepare(candidate, resolution)
    except (images.ImageError, alignment.NoFaceError) as error:
        return Record(candidate.id, "", "", dict(candidate.labels), failure=shown(error))
    image, note = (made.image, made.note) if isinstance(made, Cut) else (made, "")
    file = f"images/{candidate.id}.png"
    images.save_png(image, folder / file)
    record = Record(candidate.id, file, images.pixel_sha256(image), dict(candidate.labels), note=note)
    if candidate.mask is None:
        return record
    mask, file = candidate.mask(), f"masks/{candidate.id}.png"
    (folder / "masks").mkdir(exist_ok=True)
    images.save_png(mask, folder / file)
    return replace(record, mask=file, mask_sha256=images.pixel_sha256(mask))


def content_hash(file: Path) -> str:
    """SHA-256 of a file, for `identity`; "" for one that cannot be read, whose image becomes a failed record."""
    try:
        return assets.sha256(file)
    except OSError:
        return ""


def asset_identity(name: str) -> dict[str, list[str]]:
    """The pinned hashes of an asset, for `identity`."""
    return {name: [source.sha256 for source in assets.get(name).sources]}
