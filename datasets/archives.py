"""Members of wheels (zip) and sdists (tar.gz), read without installing or running anything."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


class UnsafeArchiveError(ValueError):
    """A member points outside the folder, is a link or a device, or is compressed where none may be."""


def check_member(archive: Path | str, name: str) -> PurePosixPath:
    """A member's name as a relative path. Raises UnsafeArchiveError for one that points outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise UnsafeArchiveError(f"{archive}: member {name!r} points outside the archive's folder")
    return path


def _members(archive: Path, pattern: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                if info.is_dir() or not fnmatchcase(info.filename, pattern):
                    continue
                yield check_member(archive, info.filename), bundle.read(info)
        return
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle_tar:
            for member in bundle_tar:
                if member.isdir() or not fnmatchcase(member.name, pattern):
                    continue
                path = check_member(archive, member.name)
                handle = bundle_tar.extractfile(member) if member.isreg() else None
                if handle is None:
                    raise UnsafeArchiveError(f"{archive}: member {member.name!r} is not a regular file")
                yield path, handle.read()
        return
    raise ValueError(f"{archive}: neither a zip (wheel) nor a tar archive")


def extract(archive: Path, pattern: str, destination: Path) -> list[Path]:
    """Extract the members that match a shell pattern.

    Args:
        archive: a wheel or an sdist.
        pattern: as of fnmatch.
        destination: folder of the files.

    Returns:
        The files, sorted.

    Raises:
        UnsafeArchiveError: a matching member has an absolute name or `..`, or is a link.
        FileNotFoundError: no member matches.
    """
    written = []
    for name, data in _members(archive, pattern):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        written.append(target)
    if not written:
        raise FileNotFoundError(f"{archive}: no member matches {pattern!r}")
    return sorted(written)
