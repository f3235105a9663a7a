"""Folders of photographs as data sets, and public data sets that are folders.

A data set's key depends on the content of the images, not on the folder's path.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import Image, ImageOps

from datasets import alignment, assets, building, ffhq_alignment, images
from datasets.base import Manifest

VERSION = 1

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"])


def build(path: str, align: bool | str = True, resolution: int = 64, landmarks: str = "") -> Manifest:
    """All images below a folder; those that are unreadable, without a face or not square become failed records.

    Args:
        path: the folder.
        align: True: aligned to the tight frame of the bundled data sets; "ffhq": to FFHQ's frame, for official
            generators; False: square images that are aligned already.
        resolution: in pixels.
        landmarks: with align=ffhq, an installed predictor of 68 landmarks as "module:function": image [H, W, 3] uint8
            -> [68, 2] in pixels, or None without a face; default: MTCNN's five landmarks.

    Raises:
        NotADirectoryError: path is not a folder.
        FileNotFoundError: there are no images in it.
        ValueError: align or landmarks are not supported.
    """
    recipes = {True: alignment.RECIPE, "ffhq": ffhq_alignment.RECIPE, False: building.AS_IS}
    if align not in recipes:
        raise ValueError(f"data set 'folder': align is {align!r}, expected true, false or ffhq")
    if landmarks and align != "ffhq":
        raise ValueError(f"data set 'folder': landmarks={landmarks!r} are for align=ffhq, found align={align!r}")
    recipe, prepare = recipes[align], None
    if landmarks:
        recipe, prepare = f"{ffhq_alignment.RECIPE_68} by {landmarks}", ffhq_alignment.preparer(landmarks)
    title = "Photographs of a folder"
    return _build("folder", title, "the user's own", "out", path, resolution, recipe, prepare)


def ffhq(path: str, resolution: int = 1024) -> Manifest:
    """FFHQ's aligned images (NVlabs/ffhq-dataset, images1024x1024) below `path`."""
    return _build("ffhq", "FFHQ", "CC BY-NC-SA 4.0; see the set for each image's", "in", path, resolution,
                  building.AS_IS)  # fmt: skip


def metfaces(path: str, resolution: int = 1024) -> Manifest:
    """MetFaces (NVlabs/metfaces-dataset): faces of works of art, aligned as FFHQ."""
    return _build("metfaces", "MetFaces", "CC BY-NC 2.0", "out", path, resolution, building.AS_IS)


def lfw(path: str, resolution: int = 1024) -> Manifest:
    """Labeled Faces in the Wild: photographs of 250 px, aligned by five landmarks in FFHQ's frame (`mtcnn5_ffhq`)."""
    return _build("lfw", "LFW", "for research; see vis-www.cs.umass.edu/lfw", "out", path, resolution,
                  ffhq_alignment.RECIPE)  # fmt: skip


def stanford_cars(path: str, resolution: int = 512) -> Manifest:
    """Stanford Cars, full images in a square with black bars, as for StyleGAN2's generator of cars."""
    return _build("stanford_cars", "Stanford Cars", "non-commercial research", "in", path, resolution, LETTERBOX)


LETTERBOX = "letterbox_black"
_WORKERS = os.cpu_count() or 1
PREPARE: dict[str, building.Prepare] = {
    alignment.RECIPE: building.aligned,
    ffhq_alignment.RECIPE: ffhq_alignment.prepare,
    building.AS_IS: building.as_is,
    LETTERBOX: lambda candidate, side: ImageOps.pad(candidate.read(), (side, side), Image.Resampling.BICUBIC),
}


def _build(
    name: str, title: str, licence: str, domain: Literal["in", "out"], path: str, resolution: int, recipe: str,
    prepare: building.Prepare | None = None,
) -> Manifest:  # fmt: skip
    root = Path(path).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"data set {name!r}: path {path!r} is not a folder")
    files = _files(root)
    if not files:
        raise FileNotFoundError(f"data set {name!r}: no image in {path!r}; supported: {', '.join(sorted(SUFFIXES))}")
    hashes = {id: assets.sha256(file) for id, file in files.items()}
    head = Manifest(
        name=name, title=title, version=VERSION, recipe=recipe, resolution=resolution, licence=licence, domain=domain,
        root=Path(), records=(),
    )  # fmt: skip
    return building.build(
        head, {"files": hashes}, partial(_candidates, root, files), len(files), prepare or PREPARE[recipe], _WORKERS
    )


def _files(root: Path) -> dict[str, Path]:
    """Files by id: the relative path without suffix, in safe characters; hidden files are skipped."""
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
        image = partial(_read, root, file)
        yield building.Candidate(id, image, {"file": file.relative_to(root).as_posix()})


def _read(root: Path, file: Path) -> Image.Image:
    try:
        return images.read_rgb(file)
    except images.ImageError as error:
        # The reason is part of the manifest's key, which must not contain the folder's path.
        raise images.ImageError(str(error).replace(str(file), file.relative_to(root).as_posix())) from error
