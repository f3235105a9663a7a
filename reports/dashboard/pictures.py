"""A run's pictures beside the page: hard links under names that are safe in a URL, and thumbnails of large ones.

DIR/images/<set>/<image>/ holds target.png, <method>.png, and whatever else a method or a protocol wants to show:
any other <label>.png belongs to the image (a mask, an occluded input), <method>/<label>.png to a method (edits from
weak to strong: smile-2.png, smile-1.png, smile+1.png). The viewer shows them where they exist, in that order.
"""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from reports.dashboard.scripts import slug
from reports.frame import Results

# Pixels of the longer side. Originals of that size or less are their own thumbnails.
THUMBNAIL = 160
TARGET = "target"


@dataclass
class Pictures:
    """What one data set has. missing: file (target or method) -> places of images without it. extras: (method, label)
    -> places of images with it, method "" for the image's own. size: longer side in pixels, 0 without pictures."""

    size: int = 0
    missing: dict[str, list[int]] = field(default_factory=dict)
    extras: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    @property
    def thumbnails(self) -> bool:
        return self.size > THUMBNAIL


def gather(results: Results, dataset: str, folder: Path) -> tuple[Pictures, set[Path]]:
    """Link a set's pictures into folder/images and make folder/thumbs; returns them and the files now in use."""
    root = (results.directory / "images").resolve()
    found = Pictures(missing={name: [] for name in (TARGET, *results.methods)})
    used: set[Path] = set()
    small: list[tuple[Path, Path]] = []
    for place, image in enumerate(results.images(dataset)):
        source = (root / dataset / image).resolve()
        inside = source.is_relative_to(root) and source != root  # a name may not lead out of the run's folder
        present = _present(source, results.methods) if inside and source.is_dir() else {}
        for name in found.missing:
            if (name, None) not in present:
                found.missing[name].append(place)
        if present and not found.size:
            found.size = max(_longer_side(path) for path in present.values())
        for (name, label), path in present.items():
            parts = [slug(name)] if label is None else [slug(name) if name else "_", slug(label)]
            relative = Path(slug(dataset), slug(image), *parts[:-1], f"{parts[-1]}.png")
            used.add(_link(path, folder / "images" / relative))
            if label is not None:
                found.extras.setdefault((name, label), []).append(place)
            if found.thumbnails:
                small.append((path, folder / "thumbs" / relative.with_suffix(".jpg")))
    with ThreadPoolExecutor() as pool:
        used.update(pool.map(lambda pair: _thumbnail(*pair), small))
    order = {name: place for place, name in enumerate(("", *results.methods))}
    found.extras = {key: found.extras[key] for key in sorted(found.extras, key=lambda k: (order[k[0]], _natural(k[1])))}
    return found, used


def _present(source: Path, methods: tuple[str, ...]) -> dict[tuple[str, str | None], Path]:
    """(file, None) for target and methods, (method or "", label) for everything else."""
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
    with Image.open(path) as picture:
        return max(picture.size)


def _natural(label: str) -> list[tuple[int, float, str]]:
    """smile-2 < smile-1 < smile+1 < smile+10."""
    parts = re.split(r"([+-]?\d+(?:\.\d+)?)", label)
    return [(1, float(part), "") if place % 2 else (0, 0.0, part) for place, part in enumerate(parts)]


def _link(source: Path, target: Path) -> Path:
    """A hard link, or a copy where that cannot be; a link of the same file stays."""
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
    """JPEG of at most THUMBNAIL pixels a side; one that is newer than its source stays."""
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        picture.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
        smaller = picture.convert("RGB")
    smaller.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    smaller.save(target, quality=88)
    return target
