"""CelebA-HQ from folders, zips and parquet, its split by the original numbers."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datasets import celeba_hq, registry
from datasets.celeba_hq import COUNT, FIRST_TEST, MAPPING, TEST_COUNT, TEST_LIST, read_mapping, split_of

# Pictures of three parts: the last of train and validation, the first of each part.
ORIGINS = {0: 5, 1: 162_770, 2: 162_771, 3: 182_637, 4: 182_638, 10: 202_598}
TEST, VALIDATION = ["00004", "00010"], ["00002", "00003"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))


def picture(number: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 100, 255 - number)).save(target, "PNG")
    return target.getvalue()


def mapping() -> str:
    lines = [f"{idx}          {orig}     {orig + 1:06d}.jpg" for idx, orig in ORIGINS.items()]
    return "\n".join(["idx        orig_idx    orig_file", *lines]) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As CelebAMask-HQ unpacks: pictures, masks with numbers of their own, and the mapping."""
    root = tmp_path / "CelebAMask-HQ"
    (root / "CelebA-HQ-img").mkdir(parents=True)
    for number in ORIGINS:
        (root / "CelebA-HQ-img" / f"{number}.jpg").write_bytes(picture(number))
    (root / "CelebAMask-HQ-mask-anno" / "0").mkdir(parents=True)
    (root / "CelebAMask-HQ-mask-anno" / "0" / "00004.png").write_bytes(picture(9))
    (root / MAPPING).write_text(mapping())
    return root


def test_the_first_pictures_lie_where_others_find_them() -> None:
    """The mapping's first 60 lines as published (read in mit-han-lab/anycost-gan, thirdparty, which has no header). A
    list made by others of the test part begins 2, 4, 26, 44, 59.
    """
    origins = (
        119613, 99094, 200121, 81059, 202040, 614, 50915, 166545, 143861, 101741, 157745, 78315, 167419, 167706, 55525,
        89615, 34958, 174481, 154921, 163131, 57379, 97643, 82111, 117314, 134266, 116486, 190260, 5989, 105831, 167424,
        132979, 109160, 146916, 131359, 146931, 130536, 4999, 35667, 31875, 140962, 172345, 63835, 96000, 50939, 192205,
        122643, 19680, 19870, 92499, 153964, 61394, 48168, 156162, 88897, 119529, 162641, 29587, 162998, 26603, 199431,
    )  # fmt: skip
    lines = [f"{idx:<10} {origin:<10} {origin + 1:06d}.jpg" for idx, origin in enumerate(origins)]
    mapped = read_mapping("\n".join(lines))
    parts = {part: [n for n in mapped if split_of(mapped, n) == part] for part in ("test", "validation")}
    assert parts == {"test": [2, 4, 26, 44, 59], "validation": [7, 12, 13, 17, 19, 29, 40, 57]}


def test_the_carried_list_is_2824_images_of_celebas_test_part() -> None:
    tests = read_mapping(TEST_LIST.read_text(encoding="utf-8"))
    assert len(tests) == len(set(tests.values())) == TEST_COUNT == 2824
    assert list(tests) == sorted(tests) and list(tests)[:5] == [2, 4, 26, 44, 59] and max(tests) < COUNT
    assert all(FIRST_TEST <= origin < 202_599 for origin in tests.values()), "CelebA has 202,599 pictures"
    assert tests[2] == 200_121 and tests[59] == 199_431


def test_the_test_part_needs_no_mapping_file(folder: Path) -> None:
    (folder / MAPPING).unlink()
    found = load(folder)
    assert found.ids == ["00002", "00004"] and found.by_id["00002"].labels == {"celeba": 200_121}


def load(path: Path, **options: object):
    return registry.load("celeba_hq", path=str(path), resolution=16, **options)


def colours(manifest) -> list[int]:
    return [int(np.asarray(Image.open(manifest.root / manifest.by_id[i].file))[0, 0, 0]) for i in manifest.ids]


def test_a_folder_gives_the_test_part_under_original_numbers(folder: Path) -> None:
    for path in (folder, folder / "CelebA-HQ-img"):  # the mapping lies beside the pictures or above
        found = load(path)
        assert found.ids == TEST and colours(found) == [4, 10]
        assert found.by_id["00004"].labels == {"celeba": 182_638}
    assert load(folder, split="validation").ids == VALIDATION
    assert len(load(folder, split="all").ids) == 6 and load(folder, split="train").ids == ["00000", "00001"]


def test_a_zip_and_parquet_files_give_the_same(folder: Path, tmp_path: Path) -> None:
    wanted = load(folder)
    with zipfile.ZipFile(tmp_path / "CelebAMask-HQ.zip", "w") as bundle:
        for file in folder.rglob("*"):
            bundle.write(file, f"CelebAMask-HQ/{file.relative_to(folder)}")
    rows = [{"bytes": picture(number), "path": f"{number:05d}.png"} for number in ORIGINS]
    (tmp_path / "hub").mkdir()
    pq.write_table(pa.table({"image": rows[:4], "label": [0] * 4}), tmp_path / "hub" / "a.parquet", row_group_size=3)
    pq.write_table(pa.table({"image": rows[4:], "label": [0] * 2}), tmp_path / "hub" / "b.parquet")
    (tmp_path / "hub" / MAPPING).write_text(mapping())
    for path in (tmp_path / "CelebAMask-HQ.zip", tmp_path / "hub"):
        found = load(path)
        assert found.ids == wanted.ids and colours(found) == colours(wanted)
        assert [record.sha256 for record in found.records] == [record.sha256 for record in wanted.records]
    one = load(tmp_path / "hub" / "b.parquet", mapping=str(folder / MAPPING))
    assert one.ids == TEST


def test_copies_that_count_from_one_are_told(tmp_path: Path) -> None:
    for number in (1, 5, COUNT):
        (tmp_path / f"{number:05d}.png").write_bytes(picture(number % 200))
    assert load(tmp_path, split="all").ids == ["00000", "00004", "29999"]


def test_a_broken_picture_is_a_failure_of_its_own(folder: Path) -> None:
    (folder / "CelebA-HQ-img" / "4.jpg").write_bytes(b"no picture")
    found = load(folder)
    assert found.ids == ["00010"] and "not a readable image" in found.failures["00004"]


def test_the_rule_and_the_count() -> None:
    origin = read_mapping(mapping())
    assert [split_of(origin, number) for number in ORIGINS] == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    # A whole file has 2,824 test images, or it is not CelebA-HQ's.
    whole = [f"{idx} {200_000 if idx < TEST_COUNT else 100} x.jpg" for idx in range(COUNT)]
    origin = read_mapping("\n".join(whole))
    assert sum(split_of(origin, idx) == "test" for idx in range(COUNT)) == TEST_COUNT
    with pytest.raises(ValueError, match="2823 of its 30000 images are test images, expected 2824"):
        read_mapping("\n".join(["0 100 x.jpg", *whole[1:]]))
    with pytest.raises(ValueError, match="image 3 is there twice"):
        read_mapping("3 1 a\n3 2 b")
    with pytest.raises(ValueError, match="expected `idx orig_idx orig_file`, found '3 abc'"):
        read_mapping("3 abc")


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    (folder / "CelebA-HQ-img" / "77.jpg").write_bytes(picture(7))
    with pytest.raises(ValueError, match="has no entry for image 77"):
        load(folder)
    (folder / MAPPING).unlink()
    with pytest.raises(FileNotFoundError, match=f"the split 'train' needs {MAPPING}"):
        load(folder, split="train")
    with pytest.raises(FileNotFoundError, match="fetch celeba-hq"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="split is 'tests'"):
        load(folder, split="tests")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no numbered image"):
        load(tmp_path / "empty")
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(ValueError, match="neither a folder nor a zip nor a parquet file"):
        load(tmp_path / "text.tar")
    pq.write_table(pa.table({"picture": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="expected a column `image` with bytes and path, found picture"):
        load(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["ffhq", "metfaces", "stanford_cars"])
def test_sets_that_come_as_folders(name: str, tmp_path: Path) -> None:
    Image.new("RGB", (24, 24 if name != "stanford_cars" else 12), "red").save(tmp_path / "a.png")
    found = registry.load(name, path=str(tmp_path), resolution=16)
    image = np.asarray(Image.open(found.root / found.records[0].file))
    assert image.shape == (16, 16, 3) and tuple(image[8, 8]) == (255, 0, 0)
    assert tuple(image[0, 0]) == ((0, 0, 0) if name == "stanford_cars" else (255, 0, 0))


def packed(path: Path, blue: int = 0) -> Path:
    """A zip of three pictures, not compressed; blue: of the first."""
    with zipfile.ZipFile(path, "w") as bundle:
        for number in (4, 10, 12):
            target = io.BytesIO()
            Image.new("RGB", (16, 16), (number, 0, blue if number == 4 else 0)).save(target, "BMP")
            bundle.writestr(f"CelebA-HQ-img/{number}.png", target.getvalue())
    return path


def test_another_zip_of_the_same_size_is_another_set(tmp_path: Path) -> None:
    first, second = packed(tmp_path / "a.zip"), packed(tmp_path / "b.zip", blue=9)
    assert first.stat().st_size == second.stat().st_size
    found = celeba_hq.build(str(first), "all", resolution=16)
    second.replace(first)
    assert celeba_hq.build(str(first), "all", resolution=16).key != found.key


def test_members_that_cannot_be_unpacked_are_failures_of_their_own(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"BM") + 60] ^= 0xFF  # the first has another checksum
    raw[raw.rindex(b"PK\x03\x04") + 6] |= 1  # the last needs a password
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    found = celeba_hq.build(str(path), "all", resolution=16)
    assert found.ids == ["00010"] and sorted(found.failures) == ["00004", "00012"]
    assert "Bad CRC-32" in found.failures["00004"] and "password" in found.failures["00012"]


def test_a_column_of_text_is_no_image(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a.png"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"t\.parquet: expected a column `image` with bytes and path, found image \("):
        celeba_hq.build(str(tmp_path / "t.parquet"), "all")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match=r"t\.parquet: no parquet file that can be read"):
        celeba_hq.build(str(tmp_path / "t.parquet"), "all")


def test_attributes_become_labels(folder: Path) -> None:
    """As CelebAMask-HQ has them: a count, the names, a line an image."""
    lines = [f"{n}.jpg {1 if n % 4 else -1} {-1 if n < 10 else 1}" for n in ORIGINS]
    (folder / celeba_hq.ATTRIBUTES).write_text("\n".join(["6", "Smiling Young", *lines]) + "\n")
    found = celeba_hq.build(str(folder), resolution=16, attributes=["Young", "Smiling"])
    assert {id: (r.labels["Smiling"], r.labels["Young"]) for id, r in found.by_id.items()} == {
        "00004": (0, 0), "00010": (1, 1)
    }  # fmt: skip
    assert found.key != celeba_hq.build(str(folder), resolution=16).key
    archive = folder.parent / "all.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for file in folder.rglob("*"):
            bundle.write(file, file.relative_to(folder.parent))
    again = celeba_hq.build(str(archive), resolution=16, attributes=["Smiling"])
    assert again.by_id["00010"].labels == {"celeba": ORIGINS[10], "Smiling": 1}
    with pytest.raises(ValueError, match="no attribute 'Smilin': did you mean 'Smiling'"):
        celeba_hq.build(str(folder), resolution=16, attributes=["Smilin"])
    (folder / celeba_hq.ATTRIBUTES).write_text("6\nSmiling Young\n4.jpg 1 0\n")
    with pytest.raises(ValueError, match=r"expected `0\.jpg` and 2 of 1 and -1, found '4\.jpg'"):
        celeba_hq.build(str(folder), resolution=16, attributes=["Young"])
    (folder / celeba_hq.ATTRIBUTES).unlink()
    with pytest.raises(FileNotFoundError, match=r"attributes need CelebAMask-HQ-attribute-anno\.txt"):
        celeba_hq.build(str(folder), resolution=16, attributes=["Young"])
