"""The image files of the dashboard: hard links under names that are safe in a URL, and thumbnails of large images.

DIR/images/<dataset>/<image>/ holds target.png, <method>.png and further images of methods and protocols: any other
<label>.png belongs to the target (a mask, an occluded input), <method>/<label>.png to a method (edits by strength:
smile-2.png, smile-1.png, smile+1.png). The viewer shows those that exist, in this order.
"""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from inversion_bench.pictures import open_picture
from reports.dashboard.scripts import slug
from reports.frame import Results

# Pixels of the longer side. Images of at most this size are their own thumbnails.
THUMBNAIL = 160
TARGET = "target"


@dataclass
class ImageFiles:
    """The image files of a data set.

    Attributes:
        size: longer side in pixels, 0 without images.
        missing: target or method -> indices of images without this file.
        extras: (method, label) -> indices of images with this file; the method is "" for files of the target.
    """

    size: int = 0
    missing: dict[str, list[int]] = field(default_factory=dict)
    extras: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    @property
    def thumbnails(self) -> bool:
        return self.size > THUMBNAIL


def gather(results: Results, dataset: str, folder: Path) -> tuple[ImageFiles, set[Path]]:
    """Link a data set's images into folder/images and make folder/thumbs.

    Args:
        results: the run.
        dataset: name of the data set.
        folder: of the dashboard.

    Returns:
        What files there are, and the paths of all links and thumbnails.
    """
    root = (results.directory / "images").resolve()
    gathered = ImageFiles(missing={name: [] for name in (TARGET, *results.methods)})
    used: set[Path] = set()
    to_shrink: list[tuple[Path, Path]] = []
    for index, image in enumerate(results.images(dataset)):
        source = (root / dataset / image).resolve()
        inside = source.is_relative_to(root) and source != root  # a name may not point out of the run's folder
        present = _present(source, results.methods) if inside and source.is_dir() else {}
        for name in gathered.missing:
            if (name, None) not in present:
                gathered.missing[name].append(index)
        if present and not gathered.size:
            gathered.size = max(_longer_side(path) for path in present.values())
        for (name, label), path in present.items():
            parts = [slug(name)] if label is None else [slug(name) if name else "_", slug(label)]
            relative = Path(slug(dataset), slug(image), *parts[:-1], f"{parts[-1]}.png")
            used.add(_link(path, folder / "images" / relative))
            if label is not None:
                gathered.extras.setdefault((name, label), []).append(index)
            if gathered.thumbnails:
                to_shrink.append((path, folder / "thumbs" / relative.with_suffix(".jpg")))
    with ThreadPoolExecutor() as pool:
        used.update(pool.map(lambda pair: _thumbnail(*pair), to_shrink))
    order = {name: index for index, name in enumerate(("", *results.methods))}
    gathered.extras = {
        key: gathered.extras[key] for key in sorted(gathered.extras, key=lambda k: (order[k[0]], _natural(k[1])))
    }
    return gathered, used


def _present(source: Path, methods: tuple[str, ...]) -> dict[tuple[str, str | None], Path]:
    """(file, None) for target and methods, (method or "", label) for all others."""
    known = {TARGET, *methods}
    result: dict[tuple[str, str | None], Path] = {}
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        stem, suffix = os.path.splitext(entry.name)
        if entry.is_file() and suffix == ".png" and not stem.startswith("."):
            result[(stem, None) if stem in known else ("", stem)] = Path(entry.path)
        elif entry.is_dir() and entry.name in methods:
            for path in sorted(Path(entry.path).glob("*.png")):
                result[entry.name, path.stem] = path
    return result


def _longer_side(path: Path) -> int:
    with open_picture(path) as image:
        return max(image.size)


def _natural(label: str) -> list[tuple[int, float, str]]:
    """Sort key: smile-2 < smile-1 < smile+1 < smile+10."""
    parts = re.split(r"([+-]?\d+(?:\.\d+)?)", label)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]


def _link(source: Path, target: Path) -> Path:
    """A hard link, or a copy where links are impossible; an existing link of the same file stays."""
    try:
        if target.samefile(source):
            return target
        target.unlink()
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _thumbnail(source: Path, target: Path) -> Path:
    """A JPEG of at most THUMBNAIL pixels per side; one that is newer than its source stays."""
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_picture(source) as image:
        image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
        smaller = image.convert("RGB")
    smaller.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    smaller.save(target, quality=88)
    return target
