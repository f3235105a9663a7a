"""Folders of photographs as data sets, and public data sets that are folders.

A data set's key depends on the content of the images, not on the folder's path.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from datasets import alignment, assets, building, ffhq_alignment, images
from datasets.base import Manifest, listed, load_manifest_file
from datasets.faces import Cut, cut, find_upright
from datasets.scope import ALIGNED_FACES, FACES, FFHQ, FRAMES, TIGHT, WHOLE, Scope
from inversion_bench.names import safe_name, short_hash, shown
from inversion_bench.pictures import HEAD, formats, problem
from inversion_bench.registry import load_object

VERSION = 2

# Files of these suffixes are images of the set, also broken ones; others where their first bytes say so.
SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".jp2"]
)


def build(
    path: str, align: bool | str = True, resolution: int = 64, landmarks: str = "", face: int | str = 1,
    domain: str = "",
) -> Manifest:  # fmt: skip
    """All images below a folder; those that are unreadable, without a face or not square become failed records.

    A photograph that lies on its side is turned, an image that is in the frame already is not cut again; its record's
    note says so.

    Args:
        path: the folder.
        align: "ffhq" or True: to FFHQ's frame; "tight": to the frame that cuts off hair and chin;
            "none" or False: square images that are aligned already, or that show no faces.
        resolution: in pixels.
        landmarks: with align=ffhq, an installed predictor of 68 landmarks as "module:function": image [H, W, 3] uint8
            -> [68, 2] in pixels, or None without a face; default: MTCNN's five landmarks.
        face: which one is taken, counted from the largest, 1; "all": each becomes an image of its own.
        domain: what the images show, as "cars"; faces where they are aligned.

    Raises:
        NotADirectoryError: path is not a folder.
        FileNotFoundError: there are no images in it.
        ValueError: align, landmarks or face are not supported.
    """
    frame = {True: FFHQ, False: WHOLE}.get(align, align) if isinstance(align, bool) else align
    if frame not in FRAMES:
        raise ValueError(f"data set 'folder': align is {align!r}, expected true, false or one of {', '.join(FRAMES)}")
    if landmarks and frame != FFHQ:
        raise ValueError(f"data set 'folder': landmarks={landmarks!r} are for align=ffhq, found align={align!r}")
    head = _head("folder", "Photographs of a folder", "the user's own", "out", resolution, RECIPES[frame])
    prepare: building.Prepare = partial(_cut, frame=frame)
    if landmarks:
        head = replace(head, recipe=f"{ffhq_alignment.RECIPE_68} by {landmarks}")
        prepare = _preparer(landmarks)
    # What is not aligned here may be in any frame.
    scope = Scope("", domain) if frame == WHOLE else Scope(frame, domain or FACES)
    return _build(replace(head, scope=scope), path, prepare, face)


def photographs(
    files: Sequence[str | Path], into: Path, frame: str, resolution: int, face: int | str = 1, domain: str = ""
) -> Manifest:
    """Single files as a set, by their stems; equal ones get a number.

    Args:
        files: the photographs.
        into: where the set is built, unless it is there.
        frame: ffhq, tight or none, as `align` of `build`.
        resolution: in pixels.
        face: as of `build`.
        domain: what the images show; "" where that is not known.

    Raises:
        ValueError: frame or face are not supported.
    """
    named: dict[str, Path] = {}
    for file in map(Path, files):
        stem = safe_name(file.stem)
        name, n = stem, 2
        while name.lower() in map(str.lower, named):
            name, n = f"{stem}-{n}", n + 1
        named[name] = file
    head = _head("photographs", "Photographs", "the user's own", "out", resolution, RECIPES[frame])
    head = replace(head, scope=Scope(frame, domain))
    candidates = partial(_candidates, None, named, checked_face(face))
    return building.build(head, {}, candidates, len(named), partial(_cut, frame=frame), folder=into)


def built(path: str) -> Manifest:
    """A set that lies built in a folder. Raises ManifestError."""
    return load_manifest_file(path)


def checked_face(face: int | str) -> int:
    """The number of a face, 0 for "all". Raises ValueError."""
    if str(face) == "all":
        return 0
    if not str(face).isdecimal() or int(face) < 1:
        raise ValueError(f"face is {face!r}, expected a number from 1 on, by size, or all")
    return int(face)


def ffhq(path: str, resolution: int = 1024) -> Manifest:
    """FFHQ's aligned images (NVlabs/ffhq-dataset, images1024x1024) below `path`."""
    head = _head("ffhq", "FFHQ", "CC BY-NC-SA 4.0; see the set for each image's", "in", resolution, building.AS_IS)
    return _build(head, path, building.as_is)


def metfaces(path: str, resolution: int = 1024) -> Manifest:
    """MetFaces (NVlabs/metfaces-dataset): faces of works of art, aligned as FFHQ."""
    return _build(
        _head("metfaces", "MetFaces", "CC BY-NC 2.0", "out", resolution, building.AS_IS), path, building.as_is
    )


def lfw(path: str, resolution: int = 1024) -> Manifest:
    """Labeled Faces in the Wild: photographs of 250 px, aligned by five landmarks in FFHQ's frame (`mtcnn5_ffhq`)."""
    licence = "for research; see vis-www.cs.umass.edu/lfw"
    return _build(
        _head("lfw", "LFW", licence, "out", resolution, ffhq_alignment.RECIPE), path, partial(_cut, frame=FFHQ)
    )


def stanford_cars(path: str, resolution: int = 512) -> Manifest:
    """Stanford Cars, full images in a square with black bars, as for StyleGAN2's generator of cars."""
    head = _head("stanford_cars", "Stanford Cars", "non-commercial research", "in", resolution, "letterbox_black")
    return _build(
        replace(head, scope=Scope(WHOLE, "cars")), path,
        lambda candidate, side: ImageOps.pad(candidate.read(), (side, side), Image.Resampling.BICUBIC),
    )  # fmt: skip


RECIPES = {TIGHT: alignment.RECIPE, FFHQ: ffhq_alignment.RECIPE, WHOLE: building.AS_IS}
_WORKERS = os.cpu_count() or 1


def _cut(candidate: building.Candidate, resolution: int, frame: str) -> Cut:
    try:
        return cut(candidate.read(), frame, resolution, candidate.face)
    except alignment.NoFaceError as error:
        raise alignment.NoFaceError(f"{error}; --align none (align: none) takes images as they are") from error


def _preparer(landmarks: str) -> building.Prepare:
    """`prepare` by the 68 landmarks of a predictor "module:function". Raises ValueError if it cannot be imported."""
    try:
        predict = load_object(landmarks)
    except ValueError as error:
        raise ValueError(f"no predictor of landmarks {landmarks!r}, expected module:function ({error})") from error

    def prepare_by_68(candidate: building.Candidate, resolution: int) -> Image.Image:
        picture = candidate.read()
        points = predict(np.asarray(picture))
        if points is None:
            raise alignment.NoFaceError(f"{landmarks} finds no face in a picture of {picture.width}x{picture.height}")
        frame = ffhq_alignment.frame_of_68(np.asarray(points, dtype=float))
        return ffhq_alignment.align(picture, frame, resolution)

    return prepare_by_68


def _head(
    name: str, title: str, licence: str, domain: Literal["in", "out"], resolution: int, recipe: str
) -> Manifest:  # fmt: skip
    return Manifest(
        name=name, title=title, version=VERSION, recipe=recipe, resolution=resolution, licence=licence, domain=domain,
        root=Path(), records=(), scope=ALIGNED_FACES,
    )  # fmt: skip


def _build(head: Manifest, path: str, prepare: building.Prepare, face: int | str = 1) -> Manifest:
    name = head.name
    root = Path(path).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"data set {name!r}: path {path!r} is not a folder")
    files, left_out = _files(root)
    if not files:
        found = f"; found {listed(left_out)}" if left_out else ""
        raise FileNotFoundError(f"data set {name!r}: no image in {path!r}{found}; supported: {', '.join(formats())}")
    hashes = {id: building.content_hash(file) for id, file in files.items()}
    candidates = partial(_candidates, root, files, checked_face(face))
    identity = {"files": hashes} | ({"face": str(face)} if str(face) != "1" else {})
    return replace(building.build(head, identity, candidates, len(files), prepare, _WORKERS), left_out=tuple(left_out))


def _files(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Files by id, the relative path without suffix in safe characters, and those that are left out, with why.

    Hidden files and folders, and the cache, are neither.
    """
    paths: list[Path] = []
    cache = assets.cache_dir()  # what is built lies there, also where the user keeps it in the folder
    left_out: list[str] = []
    for above, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(above, name) != cache)
        for name in [*folders, *(name for name in names if not name.startswith("."))]:
            file = Path(above, name)
            if why := _left_out(file):
                left_out.append(f"{shown(file.relative_to(root).as_posix())} ({why})")
            elif name not in folders:
                paths.append(file.relative_to(root))
    paths.sort(key=Path.as_posix)
    slugs = [safe_name(file.with_suffix("").as_posix()) for file in paths]
    # File systems that ignore case must not mix up two ids.
    counts = Counter(slug.lower() for slug in slugs)
    files = {}
    for file, slug in zip(paths, slugs, strict=True):
        id = slug if counts[slug.lower()] == 1 else f"{slug}-{short_hash(file.as_posix())}"
        files[id] = root / file
    return files, sorted(left_out)


def _left_out(file: Path) -> str:
    """Why a file or folder below the data set's is not looked at; "" where it is."""
    if file.is_dir():
        return "a link to a folder; give that one as the path" if file.is_symlink() else ""
    if not file.exists():
        return "a link to nothing"
    if not file.is_file():
        return "no regular file"
    if file.suffix.lower() in SUFFIXES:
        return ""
    try:
        with file.open("rb") as handle:
            reason = problem(handle.read(HEAD))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if reason is None else reason or "no image"


def _candidates(root: Path | None, files: dict[str, Path], face: int) -> Iterator[building.Candidate]:
    """A candidate for each file, or for each face of it where face is 0; names are relative to the root."""
    for id, file in files.items():
        read = partial(_read, root, file)
        labels = {"file": shown(file.relative_to(root).as_posix() if root else file)}
        for number in [face] if face else range(1, _count(read) + 1):
            name = id if face or number == 1 else f"{id}-face{number}"
            yield building.Candidate(name, read, labels, face=number)


def _count(read: Callable[[], Image.Image]) -> int:
    """How many faces an image has; 1 where there is none, so that its record says why."""
    try:
        return len(find_upright(read()).found)
    except (images.ImageError, alignment.NoFaceError):
        return 1


def _read(root: Path | None, file: Path) -> Image.Image:
    try:
        return images.read_rgb(file)
    except images.ImageError as error:
        # The reason is part of the manifest's key, which must not contain the folder's path.
        name = shown(file.relative_to(root).as_posix() if root else file.name)
        raise images.ImageError(str(error).replace(shown(file), name)) from error
