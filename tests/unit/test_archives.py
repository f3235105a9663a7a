"""Archives are read member by member; nothing leaves the folder and nothing is followed."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from datasets.archives import UnsafeArchiveError, extract


def zipped(path, members: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in members.items():
            bundle.writestr(name, data)
    return path


def tarred(path, *members: tarfile.TarInfo):
    with tarfile.open(path, "w:gz") as bundle:
        for member in members:
            bundle.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 3 if kind == tarfile.REGTYPE else 0
    return info


def test_zip_and_tar_keep_folders_and_skip_the_rest(tmp_path):
    wheel = zipped(tmp_path / "a.whl", {"p/a/1.bin": b"one", "p/b/1.bin": b"two", "setup.py": b"never"})
    files = extract(wheel, "p/*.bin", tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == ["p/a/1.bin", "p/b/1.bin"]
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    sdist = tarred(tmp_path / "a.tar.gz", member("p/a.bin"), member("p/setup.py"), member("p", tarfile.DIRTYPE))
    assert [file.read_bytes() for file in extract(sdist, "p/*.bin", tmp_path / "tar")] == [b"xxx"]


@pytest.mark.parametrize("name", ["../evil", "p/../../evil", "/evil", "C:/evil", "..\\evil"])
def test_names_outside_are_refused(tmp_path, name):
    out = tmp_path / "in" / "out"
    for archive in (zipped(tmp_path / "a.zip", {name: b"x"}), tarred(tmp_path / "a.tar.gz", member(name))):
        with pytest.raises(UnsafeArchiveError, match="outside"):
            extract(archive, "*", out)
    assert not [file for file in tmp_path.rglob("*evil*")]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    archive = tarred(tmp_path / "a.tar.gz", member("p/link", kind, "/etc/passwd"))
    with pytest.raises(UnsafeArchiveError, match="not a regular file"):
        extract(archive, "*", tmp_path / "out")


def test_missing_member(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"a.bin": b"x"})
    with pytest.raises(FileNotFoundError, match=r"a\.zip: no member matches '\*\.ckpt'"):
        extract(archive, "*.ckpt", tmp_path / "out")


def test_no_archive(tmp_path):
    (tmp_path / "a.whl").write_text("hello")
    with pytest.raises(ValueError, match="neither a zip"):
        extract(tmp_path / "a.whl", "*", tmp_path / "out")
