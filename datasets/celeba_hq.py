"""CelebA-HQ from a user's copy: a folder of images, CelebAMask-HQ's zip, or parquet files of a hub.

Papers test on 2,824 images: image i of CelebA-HQ is image orig_idx(i) of CelebA, and belongs to the test split when
orig_idx >= 182,638 (validation: from 162,771), as in the released code; CelebA's own list starts its test split at file
182638, which is orig_idx 182,637, and is reported to give the same 2,824 images. The mapping comes with CelebAMask-HQ
as CelebA-HQ-to-CelebA-mapping.txt; without it, its lines of test images in datasets/manifests are used. Ids are the
original numbers.
References: Karras et al., arXiv 1710.10196; Lee et al., CelebAMask-HQ, arXiv 1907.11922 (mapping; split in
face_parsing/Data_preprocessing/g_partition.py); Liu et al., CelebA, arXiv 1411.7766 (list_eval_partition.txt).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from datasets import building, images
from datasets.base import Manifest
from datasets.scope import ALIGNED_FACES
from inversion_bench.registry import near_miss

VERSION = 1
COUNT, TEST_COUNT = 30_000, 2_824
FIRST_VALIDATION, FIRST_TEST = 162_771, 182_638  # values of orig_idx
SPLITS = ("train", "validation", "test")
MAPPING, ATTRIBUTES = "CelebA-HQ-to-CelebA-mapping.txt", "CelebAMask-HQ-attribute-anno.txt"
TEST_LIST = Path(__file__).parent / "manifests" / "celeba_hq_test.txt"  # the mapping's lines of test images
LICENCE = "CelebA-HQ and CelebAMask-HQ: non-commercial research only (CelebA's agreement)"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MOST_BYTES = 500_000_000  # of a zip's member, unpacked
# A wrong checksum, a password, an unknown packing, an archive that is cut.
_UNPACKING = (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError)
_NUMBER = re.compile(r"(?:imgHQ|img)?0*(\d+)")  # 123.jpg, 00123.png and imgHQ00123.png are image 123

Opener = Callable[[], Image.Image]


def build(
    path: str, split: str = "test", mapping: str = "", resolution: int = 1024, attributes: Sequence[str] = ()
) -> Manifest:
    """Images of CelebA-HQ under their original numbers, 0 to 29,999.

    Args:
        path: a folder, a zip, a parquet file or a folder of them.
        split: one of SPLITS or "all".
        mapping: CelebAMask-HQ's mapping file, where it is not next to the images; not needed for the test split.
        resolution: in pixels.
        attributes: of CelebA's forty, as Smiling, those that become labels of the images, 1 or 0; from the file
            ATTRIBUTES, which comes with CelebAMask-HQ and has to be next to the images.

    Raises:
        FileNotFoundError: path, mapping or attributes do not exist, or there are no such images.
        ValueError: the split or an attribute is unknown, or the images or a file of text are inconsistent.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"data set 'celeba_hq': split is {split!r}, expected one of {', '.join(SPLITS)} or all")
    source = Path(path).expanduser()
    if not source.exists():
        raise FileNotFoundError(f"data set 'celeba_hq': no {path!r}; `fetch celeba-hq` says where it comes from")
    readers, near = _readers(source)
    if not readers:
        raise FileNotFoundError(f"data set 'celeba_hq': no numbered image in {path!r}, e.g. 123.jpg or 00123.png")
    readers = _from_zero(readers)
    origin: dict[int, int] = {}
    if split != "all":
        text = Path(mapping).expanduser().read_text(encoding="utf-8") if mapping else near(MAPPING)
        if text is None and split == "test":
            text = TEST_LIST.read_text(encoding="utf-8")
            tests = read_mapping(text)
            readers = {number: read for number, read in readers.items() if number in tests}
        if text is None:
            raise FileNotFoundError(
                f"data set 'celeba_hq': the split {split!r} needs {MAPPING}, which is not in {path!r}; it comes with "
                "CelebAMask-HQ and is in thirdparty of github.com/mit-han-lab/anycost-gan: name it with the option "
                "mapping, or set split=all"
            )
        origin = read_mapping(text)
        readers = {number: read for number, read in readers.items() if split_of(origin, number) == split}
        if not readers:
            raise FileNotFoundError(f"data set 'celeba_hq': no image of the split {split!r} in {path!r}")
    head = Manifest(
        name="celeba_hq", title="CelebA-HQ" + ("" if split == "all" else f", {split}"), version=VERSION,
        recipe=building.AS_IS, resolution=resolution, licence=LICENCE, domain="in", root=Path(), records=(),
        scope=ALIGNED_FACES,
    )  # fmt: skip
    identity: dict[str, Any] = {"split": split, "numbers": sorted(readers), "source": _fingerprint(source)}
    labels: dict[int, dict[str, int]] = {}
    if attributes:
        text = near(ATTRIBUTES)
        if text is None:
            raise FileNotFoundError(f"data set 'celeba_hq': attributes need {ATTRIBUTES}, which is not in {path!r}")
        labels = read_attributes(text, attributes)
        identity["attributes"] = hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()
    candidates = partial(_candidates, readers, origin, labels)
    return building.build(head, identity, candidates, len(readers), building.as_is, os.cpu_count() or 1)


def read_mapping(text: str) -> dict[int, int]:
    """CelebA's orig_idx of images of CelebA-HQ, from lines of `idx orig_idx orig_file`; a header is skipped.

    Raises ValueError for other lines, duplicate numbers, or a complete file without exactly 2,824 test images.
    """
    origin: dict[int, int] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or not words[0].isdigit():
            continue
        if len(words) < 2 or not words[1].isdigit():
            raise ValueError(f"{MAPPING}: expected `idx orig_idx orig_file`, found {line!r}")
        if int(words[0]) in origin:
            raise ValueError(f"{MAPPING}: image {words[0]} is there twice")
        origin[int(words[0])] = int(words[1])
    tests = sum(index >= FIRST_TEST for index in origin.values())
    if len(origin) == COUNT and tests != TEST_COUNT:
        raise ValueError(f"{MAPPING}: {tests} of its {COUNT} images are test images, expected {TEST_COUNT}")
    return origin


def read_attributes(text: str, wanted: Sequence[str]) -> dict[int, dict[str, int]]:
    """CelebA's attributes of images of CelebA-HQ, by number: 1 or 0 by name.

    Args:
        text: a line with the number of images, one with the names, then `0.jpg -1 1 ...` for each image.
        wanted: names of attributes.

    Raises:
        ValueError: the text has another form, or no such attribute.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    names = lines[1] if len(lines) > 1 else []
    for name in wanted:
        if name not in names:
            raise ValueError(f"{ATTRIBUTES}: no attribute {name!r}: {near_miss(name, names)}known: {', '.join(names)}")
    found = {}
    for number, *values in lines[2:]:
        match = _NUMBER.fullmatch(PurePosixPath(number).stem)
        if not match or len(values) != len(names) or not set(values) <= {"-1", "1"}:
            raise ValueError(f"{ATTRIBUTES}: expected `0.jpg` and {len(names)} of 1 and -1, found {number!r} ...")
        found[int(match[1])] = {name: int(values[names.index(name)] == "1") for name in wanted}
    return found


def split_of(origin: Mapping[int, int], number: int) -> str:
    """The part of CelebA that an image of CelebA-HQ comes from. Raises ValueError for one that is not mapped."""
    if number not in origin:
        raise ValueError(f"{MAPPING}: has no entry for image {number}")
    index = origin[number]
    return "test" if index >= FIRST_TEST else "validation" if index >= FIRST_VALIDATION else "train"


def _candidates(
    readers: Mapping[int, Opener], origin: Mapping[int, int], attributes: Mapping[int, Mapping[str, int]]
) -> Iterator[building.Candidate]:
    for number in sorted(readers):
        labels = {"celeba": origin[number]} if number in origin else {}
        yield building.Candidate(f"{number:05d}", readers[number], labels | dict(attributes.get(number, {})))


def _from_zero(readers: dict[int, Opener]) -> dict[int, Opener]:
    """Images by numbers from 0: some copies count from 1 to 30,000."""
    if COUNT in readers and 0 not in readers:
        return {number - 1: read for number, read in readers.items()}
    return readers


def _readers(source: Path) -> tuple[dict[int, Opener], Callable[[str], str | None]]:
    """Images by number, and what gives the text of a file that is stored with them, by its name."""
    if source.is_dir():
        near = partial(_text_near, source)
        tables = sorted(source.rglob("*.parquet"))
        if tables:
            return _of_tables(tables), near
        # CelebAMask-HQ has masks and the mapping in the same folder.
        files = [file for file in source.rglob("*") if file.suffix.lower() in _SUFFIXES and _is_image(file.parts)]
        return _numbered((file.name, partial(images.read_rgb, file)) for file in files), near
    if source.suffix == ".parquet":
        return _of_tables([source]), partial(_text_near, source.parent)
    if zipfile.is_zipfile(source):
        return _of_zip(source)
    raise ValueError(f"data set 'celeba_hq': {source} is neither a folder nor a zip nor a parquet file")


def _is_image(parts: tuple[str, ...]) -> bool:
    return not any("mask-anno" in part or part.startswith(".") for part in parts)


def _numbered(named: Iterator[tuple[str, Opener]]) -> dict[int, Opener]:
    numbered: dict[int, Opener] = {}
    for name, read in named:
        match = _NUMBER.fullmatch(PurePosixPath(name).stem)
        if not match:
            continue
        number = int(match[1])
        if number in numbered:
            raise ValueError(f"data set 'celeba_hq': image {number} is there twice (the second as {name})")
        numbered[number] = read
    return numbered


def _text_near(folder: Path, name: str) -> str | None:
    """A file in the folder or next to it, as in CelebAMask-HQ."""
    for parent in (folder, folder.parent):
        if (parent / name).is_file():
            return (parent / name).read_text(encoding="utf-8")
    return None


def _of_zip(source: Path) -> tuple[dict[int, Opener], Callable[[str], str | None]]:
    """CelebAMask-HQ.zip: images below CelebA-HQ-img/, read from the archive."""
    try:
        with zipfile.ZipFile(source) as bundle:
            names = [info.filename for info in bundle.infolist() if not info.is_dir()]
            members = {PurePosixPath(name).name: name for name in names if name.endswith(".txt")}
            wanted = members.keys() & {MAPPING, ATTRIBUTES}
            texts = {name: bundle.read(members[name]).decode("utf-8") for name in wanted}
    except _UNPACKING as error:
        raise ValueError(f"data set 'celeba_hq': {source} cannot be unpacked ({error}); fetch it again") from error
    chosen = [name for name in names if name.lower().endswith(_SUFFIXES) and _is_image(PurePosixPath(name).parts)]
    return _numbered((PurePosixPath(name).name, partial(_read_member, source, name)) for name in chosen), texts.get


def _read_member(source: Path, name: str) -> Image.Image:
    try:
        with zipfile.ZipFile(source) as bundle:
            size = bundle.getinfo(name).file_size
            if size > MOST_BYTES:
                raise ValueError(f"{size:,} bytes, {MOST_BYTES:,} are read")
            data = bundle.read(name)
    except _UNPACKING as error:
        raise images.ImageError(
            f"{source.name}: {name} cannot be unpacked ({error}); fetch the archive again"
        ) from error
    return images.read_rgb_bytes(data, name)


def _of_tables(tables: list[Path]) -> dict[int, Opener]:
    """Rows with a column `image` of bytes and path, as in the parquet files of hubs.

    The number is that of the path, or of the row in a set of all 30,000 rows without numbers.
    """
    named: list[tuple[str, Opener]] = []
    for table in tables:
        try:
            schema = pq.read_schema(table)
        except (ValueError, OSError) as error:  # Arrow's errors are these
            raise ValueError(f"{table}: no parquet file that can be read ({error}); fetch it again") from error
        kind = str(schema.field("image").type) if "image" in schema.names else ""
        if not (kind.startswith("struct<") and "bytes:" in kind and "path:" in kind):
            columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
            raise ValueError(f"{table}: expected a column `image` with bytes and path, found {columns}")
        paths = pq.ParquetFile(table).read(columns=["image.path"]).column("image").to_pylist()
        for row, entry in enumerate(paths):
            named.append(((entry or {}).get("path") or "", partial(_read_row, table, row)))
    if all(not name for name, _ in named):
        if len(named) != COUNT:
            raise ValueError(
                f"data set 'celeba_hq': {len(named)} rows without file names; only all {COUNT} have a known order"
            )
        return dict(enumerate(read for _, read in named))
    return _numbered(iter(named))


def _read_row(table: Path, row: int) -> Image.Image:
    file = pq.ParquetFile(table)
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < first + rows:
            name = f"{table.name}, row {row}"
            try:
                value = file.read_row_group(group, columns=["image"]).column("image")[row - first].as_py()
            except (ValueError, OSError) as error:
                raise images.ImageError(f"{name}: cannot be read ({error}); fetch the file again") from error
            if not value or not value["bytes"]:
                raise images.ImageError(f"{name}: holds no image")
            return images.read_rgb_bytes(value["bytes"], name)
        first += rows
    raise images.ImageError(f"{table}: has no row {row}")


def _fingerprint(source: Path) -> str:
    """A hash of names and content: of a zip the checksums of its members, of files theirs."""
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as bundle:
            lines = [f"{info.filename} {info.file_size} {info.CRC:08x}" for info in bundle.infolist()]
    else:
        files = sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]
        files = [file for file in files if file.suffix.lower() in (*_SUFFIXES, ".parquet") and _is_image(file.parts)]
        with ThreadPoolExecutor() as pool:
            lines = [
                f"{file.relative_to(source)} {digest}"
                for file, digest in zip(files, pool.map(building.content_hash, files), strict=True)
            ]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
