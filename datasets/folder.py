"""Any folder of photographs as a data set. The set's key holds the pictures' content, never the folder's path."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from datasets import alignment, assets, building, images
from datasets.base import Manifest

VERSION = 1

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"])
AS_IS = "square_as_is"


def build(path: str, align: bool = True, resolution: int = 64) -> Manifest:
    """Every picture below `path` at `resolution` px; align=False takes square pictures that are in the frame.

    A file that cannot be read, has no face, or (align=False) is not square becomes a record with its failure.
    Raises NotADirectoryError and FileNotFoundError when there is no folder or no picture in it.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"data set 'folder': path {path!r} is not a folder")
    files = _pictures(root)
    if not files:
        raise FileNotFoundError(f"data set 'folder': no picture in {path!r}; read are {', '.join(sorted(SUFFIXES))}")
    hashes = {id: assets.sha256(file) for id, file in files.items()}
    head = Manifest(
        name="folder",
        title="Photographs of a folder",
        version=VERSION,
        recipe=alignment.RECIPE if align else AS_IS,
        resolution=resolution,
        licence="the user's own",
        domain="out",
        root=Path(),
        records=(),
    )
    prepare = building.aligned if align else _as_is
    return building.build(head, {"files": hashes}, partial(_candidates, root, files), len(files), prepare)


def _pictures(root: Path) -> dict[str, Path]:
    """Files by id: the path in the folder without its suffix, in safe signs; hidden files are left out."""
    found = sorted(
        (
            file.relative_to(root)
            for file in root.rglob("*")
            if file.is_file()
            and file.suffix.lower() in SUFFIXES
            and not any(part.startswith(".") for part in file.relative_to(root).parts)
        ),
        key=Path.as_posix,
    )
    slugs = [re.sub(r"[^A-Za-z0-9._-]+", "_", name.with_suffix("").as_posix()).lstrip("._-") for name in found]
    # File systems that ignore case must not mix up two ids.
    counts = Counter(slug.lower() for slug in slugs)
    files = {}
    for name, slug in zip(found, slugs, strict=True):
        unique = hashlib.sha256(name.as_posix().encode()).hexdigest()[:8]
        id = slug if slug and counts[slug.lower()] == 1 else f"{slug or 'image'}-{unique}"
        files[id] = root / name
    return files


def _candidates(root: Path, files: dict[str, Path]) -> Iterator[building.Candidate]:
    for id, file in files.items():
        picture = partial(_read, root, file)
        yield building.Candidate(id, picture, {"file": file.relative_to(root).as_posix()})


def _read(root: Path, file: Path) -> Image.Image:
    try:
        return images.read_rgb(file)
    except images.ImageError as error:
        # The reason is part of the manifest's key, which must not hold the folder's path.
        raise images.ImageError(str(error).replace(str(file), file.relative_to(root).as_posix())) from error


def _as_is(candidate: building.Candidate, resolution: int) -> Image.Image:
    picture = candidate.picture()
    if picture.width != picture.height:
        raise images.ImageError(
            f"expected a square picture, found {picture.width}x{picture.height} px; crop it or set align=true"
        )
    return picture if picture.width == resolution else picture.resize((resolution,) * 2, Image.Resampling.BICUBIC)
