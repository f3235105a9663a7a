"""Drawn objects: the same for the same seed, in their place, growing with their size, nothing beside their mask."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import occluded, occluders
from tests.drawn_faces import face_picture

FACE = np.array([[21.0, 24], [43, 24], [32, 37], [24, 49], [41, 49]])
VARIANTS = [(name, size, where) for name, thing in occluders.OBJECTS.items()
            for size, where in product(occluders.SIZES, thing.places)]  # fmt: skip
MEDIUM = [variant for variant in VARIANTS if variant[1] == "medium"]
GOLDEN = Path(__file__).parents[1] / "golden" / "occluders.json"


def alpha(*variant: str, seed: str = "0", side: int = 64) -> np.ndarray:
    picture = occluders.draw(*variant, FACE * side / 64, side, seed)
    assert picture.mode == "RGBA" and picture.size == (side, side)
    return np.asarray(picture.getchannel("A")).astype(float) / 255


@pytest.mark.parametrize("variant", MEDIUM, ids="-".join)
def test_the_same_seed_gives_the_same_pixels_and_another_does_not(variant):
    first, again, other = (occluders.draw(*variant, FACE, 64, seed) for seed in ("a", "a", "b"))
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_pictures_are_pinned():
    """A change of any object needs another VERSION of the set: stored results of the old pictures must not be read."""
    pinned = json.loads(GOLDEN.read_text())
    assert pinned.pop("version") == occluded.VERSION and set(pinned) == {"-".join(variant) for variant in VARIANTS}
    for variant in VARIANTS:
        np.testing.assert_allclose(summary(variant), pinned["-".join(variant)], atol=0.02, err_msg=str(variant))


def summary(variant: tuple[str, str, str]) -> list[float]:
    """Mean premultiplied colour and coverage (levels of 255), and where the object lies (pixels)."""
    picture = np.asarray(occluders.draw(*variant, FACE, 64, "pinned")).astype(float)
    covered = picture[..., 3] / 255
    centre = np.average(np.indices((64, 64)), axis=(1, 2), weights=covered)
    colour = (picture[..., :3] * covered[..., None]).mean(axis=(0, 1))
    return [round(float(v), 3) for v in (*colour, picture[..., 3].mean(), *centre)]


@pytest.mark.parametrize("variant", VARIANTS, ids="-".join)
def test_only_the_mask_changes(variant):
    clean = face_picture()
    laid, mask = occluders.lay(clean, occluders.draw(*variant, FACE, 64, "0"))
    assert mask.mode == "L" and set(np.unique(mask)) == {0, 255} and laid.mode == "RGB"
    changed = (np.asarray(laid) != np.asarray(clean)).any(axis=2)
    inside = np.asarray(mask) == 255
    assert not (changed & ~inside).any()
    assert (changed & inside).sum() > 0.9 * inside.sum()


@pytest.mark.parametrize(("name", "where"), sorted({(name, where) for name, _, where in VARIANTS}))
def test_sizes_grow(name, where):
    small, medium, large = (alpha(name, size, where).mean() for size in ("small", "medium", "large"))
    assert small > 0.01 and 1.25 * small < medium and 1.2 * medium < large < 0.6


@pytest.mark.parametrize("variant", MEDIUM, ids="-".join)
def test_objects_lie_over_their_half(variant):
    """More of the object's picture lies near its own anchor than near the other."""
    covered = alpha(*variant)
    eyes, mouth = covered[18:31].sum(), covered[43:56].sum()
    assert (eyes > mouth) == (variant[2] == "upper")


@pytest.mark.parametrize("variant", MEDIUM, ids="-".join)
def test_resolution_changes_the_grid_only(variant):
    coarse, fine = alpha(*variant), alpha(*variant, side=256)
    # Pixel centres are whole numbers, so scaled landmarks lie up to half a coarse pixel off.
    assert abs(coarse.mean() - fine.mean()) < 0.015
    assert np.abs(coarse - fine.reshape(64, 4, 64, 4).mean(axis=(1, 3))).mean() < 0.04


def test_turned_landmarks_turn_the_object():
    flat = occluders.draw("glasses", "medium", "upper", FACE, 64, "0")
    turned = (FACE - 31.5)[:, ::-1] * (-1, 1) + 31.5  # a quarter turn clockwise
    quarter = occluders.draw("glasses", "medium", "upper", turned, 64, "0")
    level, upright = (np.argwhere(np.asarray(p.getchannel("A")) > 0).std(axis=0) for p in (flat, quarter))
    assert level[1] > 2 * level[0] and upright[0] > 2 * upright[1]


def test_edges_are_soft():
    for name, thing in occluders.OBJECTS.items():
        covered = alpha(name, "large", thing.places[0])
        assert ((covered > 0) & (covered < 1)).sum() > 20, name


def test_what_is_not_drawn_is_named():
    with pytest.raises(ValueError, match=r"no occluder 'hat'.*objects: microphone"):
        occluders.draw("hat", "small", "upper", FACE, 64, "")
    with pytest.raises(ValueError, match=r"no occluder 'mug' of size 'tiny'"):
        occluders.draw("mug", "tiny", "lower", FACE, 64, "")
    with pytest.raises(ValueError, match=r"'mug' lies over the lower face, found 'upper'"):
        occluders.draw("mug", "small", "upper", FACE, 64, "")


@pytest.mark.parametrize(("count", "variants"), [(6, 3), (12, 3), (18, 1), (18, 6), (36, 5)])
def test_design_is_balanced(count, variants):
    plan = occluded.design(count, variants, seed=0)
    assert all(len({name for name, _, _ in row}) == variants for row in plan), "an image has different objects"
    objects, sizes = (Counter(v[part] for row in plan for v in row) for part in (0, 1))
    assert set(objects.values()) == {count * variants // 6}
    assert max(sizes.values()) - min(sizes.values()) <= (0 if variants % 3 == 0 or count % 18 == 0 else 6)
    if variants == 3:
        pairs = Counter(v[:2] for row in plan for v in row)
        assert len(pairs) == 18 and set(pairs.values()) == {count // 6}
    for name, _, where in (v for row in plan for v in row):
        assert where in occluders.OBJECTS[name].places


def test_design_uses_both_halves_and_begins_alike():
    plan = occluded.design(12, 3, seed=0)
    for name in ("hand", "banner", "patch"):
        places = Counter(v[2] for row in plan for v in row if v[0] == name)
        assert places == {"lower": 3, "upper": 3}, name
    assert occluded.design(6, 3, seed=0) == plan[:6] and occluded.design(12, 3, seed=1) != plan


def test_lay_needs_no_square():
    overlay = Image.new("RGBA", (8, 6))
    overlay.putpixel((2, 3), (10, 20, 30, 255))
    laid, mask = occluders.lay(Image.new("RGB", (8, 6), "white"), overlay)
    assert laid.getpixel((2, 3)) == (10, 20, 30) and laid.getpixel((3, 2)) == (255, 255, 255)
    assert np.asarray(mask).sum() == 255
