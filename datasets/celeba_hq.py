"""CelebA-HQ from what users have of it: a folder of pictures, CelebAMask-HQ's zip, or parquet files of a hub.

The field tests on 2,824 images: CelebA-HQ's picture i is CelebA's picture orig_idx(i), and it is in the test part when
orig_idx >= 182,638 (validation: from 162,771). So does the released code; CelebA's own list begins its test part at
file 182638, which is orig_idx 182,637, and is said to give the same 2,824 images. The mapping comes with CelebAMask-HQ
as CelebA-HQ-to-CelebA-mapping.txt; where it is absent, its lines of test images in datasets/manifests tell them. Ids
stay the original numbers.
References: Karras et al., arXiv 1710.10196; Lee et al., CelebAMask-HQ, arXiv 1907.11922 (mapping; split in
face_parsing/Data_preprocessing/g_partition.py); Liu et al., CelebA, arXiv 1411.7766 (list_eval_partition.txt).
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq
from PIL import Image

from datasets import building, images
from datasets.base import Manifest

VERSION = 1
COUNT, TEST_COUNT = 30_000, 2_824
FIRST_VALIDATION, FIRST_TEST = 162_771, 182_638  # values of orig_idx
SPLITS = ("train", "validation", "test")
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
TEST_LIST = Path(__file__).parent / "manifests" / "celeba_hq_test.txt"  # the mapping's lines of test images
LICENCE = "CelebA-HQ and CelebAMask-HQ: non-commercial research only (CelebA's agreement)"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_NUMBER = re.compile(r"(?:imgHQ|img)?0*(\d+)")  # 123.jpg, 00123.png and imgHQ00123.png are picture 123

Opener = Callable[[], Image.Image]


def build(path: str, split: str = "test", mapping: str = "", resolution: int = 1024) -> Manifest:
    """Pictures of CelebA-HQ at `resolution` px, under their original numbers of 0 to 29,999.

    path: a folder, a zip, a parquet file or a folder of them. split: one of SPLITS or "all". mapping: CelebAMask-HQ's
    mapping file, where it is not beside the pictures; the test split does not need it.
    Raises FileNotFoundError or ValueError that says what was found.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"data set 'celeba_hq': split is {split!r}, expected one of {', '.join(SPLITS)} or all")
    source = Path(path).expanduser()
    if not source.exists():
        raise FileNotFoundError(f"data set 'celeba_hq': no {path!r}; `fetch celeba-hq` says where it comes from")
    pictures, found = _pictures(source)
    if not pictures:
        raise FileNotFoundError(f"data set 'celeba_hq': no numbered picture in {path!r}, e.g. 123.jpg or 00123.png")
    pictures = _from_zero(pictures)
    origin: dict[int, int] = {}
    if split != "all":
        text = Path(mapping).expanduser().read_text(encoding="utf-8") if mapping else found
        if text is None and split == "test":
            text = TEST_LIST.read_text(encoding="utf-8")
            tests = read_mapping(text)
            pictures = {number: each for number, each in pictures.items() if number in tests}
        if text is None:
            raise FileNotFoundError(
                f"data set 'celeba_hq': the split {split!r} needs {MAPPING}, which is not in {path!r}; it comes with "
                "CelebAMask-HQ, and lies in thirdparty of github.com/mit-han-lab/anycost-gan: name it with the option "
                "mapping, or set split=all"
            )
        origin = read_mapping(text)
        pictures = {number: each for number, each in pictures.items() if split_of(origin, number) == split}
        if not pictures:
            raise FileNotFoundError(f"data set 'celeba_hq': no picture of the split {split!r} in {path!r}")
    head = Manifest(
        name="celeba_hq",
        title="CelebA-HQ" + ("" if split == "all" else f", {split}"),
        version=VERSION,
        recipe=building.AS_IS,
        resolution=resolution,
        licence=LICENCE,
        domain="in",
        root=Path(),
        records=(),
    )
    identity = {"split": split, "numbers": sorted(pictures), "source": _fingerprint(source)}
    candidates = partial(_candidates, pictures, origin)
    return building.build(head, identity, candidates, len(pictures), building.as_is, os.cpu_count() or 1)


def read_mapping(text: str) -> dict[int, int]:
    """CelebA's orig_idx of each picture of CelebA-HQ: lines of `idx orig_idx orig_file`, a header is left
    out. Raises ValueError for lines of another form, doubled numbers, or a whole file with another number of test
    images than 2,824.
    """
    origin: dict[int, int] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or not words[0].isdigit():
            continue
        if len(words) < 2 or not words[1].isdigit():
            raise ValueError(f"{MAPPING}: expected `idx orig_idx orig_file`, found {line!r}")
        if int(words[0]) in origin:
            raise ValueError(f"{MAPPING}: picture {words[0]} is there twice")
        origin[int(words[0])] = int(words[1])
    tests = sum(index >= FIRST_TEST for index in origin.values())
    if len(origin) == COUNT and tests != TEST_COUNT:
        raise ValueError(f"{MAPPING}: {tests} of its {COUNT} pictures are test images, expected {TEST_COUNT}")
    return origin


def split_of(origin: Mapping[int, int], number: int) -> str:
    """The part of CelebA that a picture of CelebA-HQ comes from. Raises ValueError for one that is not mapped."""
    if number not in origin:
        raise ValueError(f"{MAPPING}: says nothing of picture {number}")
    index = origin[number]
    return "test" if index >= FIRST_TEST else "validation" if index >= FIRST_VALIDATION else "train"


def _candidates(pictures: Mapping[int, Opener], origin: Mapping[int, int]) -> Iterator[building.Candidate]:
    for number in sorted(pictures):
        labels = {"celeba": origin[number]} if number in origin else {}
        yield building.Candidate(f"{number:05d}", pictures[number], labels)


def _from_zero(pictures: dict[int, Opener]) -> dict[int, Opener]:
    """The pictures by numbers from 0: some copies count from 1 to 30,000."""
    if COUNT in pictures and 0 not in pictures:
        return {number - 1: each for number, each in pictures.items()}
    return pictures


def _pictures(source: Path) -> tuple[dict[int, Opener], str | None]:
    """Pictures by number, and the text of the mapping file where it lies with them."""
    if source.is_dir():
        tables = sorted(source.rglob("*.parquet"))
        if tables:
            return _of_tables(tables), _mapping_near(source)
        # Masks and the mapping lie beside the pictures in CelebAMask-HQ.
        files = [each for each in source.rglob("*") if each.suffix.lower() in _SUFFIXES and _is_picture(each.parts)]
        return _numbered((file.name, partial(images.read_rgb, file)) for file in files), _mapping_near(source)
    if source.suffix == ".parquet":
        return _of_tables([source]), _mapping_near(source.parent)
    if zipfile.is_zipfile(source):
        return _of_zip(source)
    raise ValueError(f"data set 'celeba_hq': {source} is neither a folder nor a zip nor a parquet file")


def _is_picture(parts: tuple[str, ...]) -> bool:
    return not any("mask-anno" in part or part.startswith(".") for part in parts)


def _numbered(named: Iterator[tuple[str, Opener]]) -> dict[int, Opener]:
    found: dict[int, Opener] = {}
    for name, picture in named:
        match = _NUMBER.fullmatch(PurePosixPath(name).stem)
        if not match:
            continue
        number = int(match[1])
        if number in found:
            raise ValueError(f"data set 'celeba_hq': picture {number} is there twice (the second as {name})")
        found[number] = picture
    return found


def _mapping_near(folder: Path) -> str | None:
    """The mapping file in the folder or beside it, as CelebAMask-HQ unpacks."""
    for place in (folder, folder.parent):
        if (place / MAPPING).is_file():
            return (place / MAPPING).read_text(encoding="utf-8")
    return None


def _of_zip(source: Path) -> tuple[dict[int, Opener], str | None]:
    """CelebAMask-HQ.zip: pictures below CelebA-HQ-img/; nothing is unpacked."""
    with zipfile.ZipFile(source) as bundle:
        names = [info.filename for info in bundle.infolist() if not info.is_dir()]
        mapping = next((name for name in names if PurePosixPath(name).name == MAPPING), None)
        text = bundle.read(mapping).decode("utf-8") if mapping else None
    chosen = [name for name in names if name.lower().endswith(_SUFFIXES) and _is_picture(PurePosixPath(name).parts)]
    return _numbered((PurePosixPath(name).name, partial(_read_member, source, name)) for name in chosen), text


def _read_member(source: Path, name: str) -> Image.Image:
    with zipfile.ZipFile(source) as bundle:
        return images.read_rgb_bytes(bundle.read(name), name)


def _of_tables(tables: list[Path]) -> dict[int, Opener]:
    """Rows with a column `image` of bytes and path, as hubs ship pictures. The number is the path's, or, in a set of
    all 30,000 rows without numbers, the row's.
    """
    named: list[tuple[str, Opener]] = []
    for table in tables:
        schema = pq.read_schema(table)
        if "image" not in schema.names:
            raise ValueError(f"{table}: expected a column `image` with bytes and path, found {', '.join(schema.names)}")
        paths = pq.ParquetFile(table).read(columns=["image.path"]).column("image").to_pylist()
        for row, each in enumerate(paths):
            named.append(((each or {}).get("path") or "", partial(_read_row, table, row)))
    if all(not name for name, _ in named):
        if len(named) != COUNT:
            raise ValueError(
                f"data set 'celeba_hq': {len(named)} rows without file names; only all {COUNT} tell which is which"
            )
        return dict(enumerate(picture for _, picture in named))
    return _numbered(iter(named))


def _read_row(table: Path, row: int) -> Image.Image:
    file = pq.ParquetFile(table)
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < first + rows:
            value = file.read_row_group(group, columns=["image"]).column("image")[row - first].as_py()
            return images.read_rgb_bytes(value["bytes"], f"{table.name}, row {row}")
        first += rows
    raise images.ImageError(f"{table}: has no row {row}")


def _fingerprint(source: Path) -> str:
    """What tells one copy from another without reading gigabytes: names and sizes; the manifest's key holds pixels."""
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    text = "\n".join(f"{file.relative_to(source)} {file.stat().st_size}" for file in files if file.is_file())
    return hashlib.sha256(text.encode()).hexdigest()
