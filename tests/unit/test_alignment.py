"""The frame in closed form, and that the crop does not depend on how the source was turned or enlarged."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from datasets import alignment
from datasets.alignment import Landmarks

# Eyes 40 px apart, mouth 50 px below them: the eye-to-mouth distance rules (50 > 1.1 x 40).
POINTS = np.array([[180.0, 150.0], [220.0, 150.0], [200.0, 175.0], [185.0, 200.0], [215.0, 200.0]])
SIDE = 2.55 * 50
# The frame's centre is at pixel 31.5 and lies 0.32 of the way from the eyes to the mouth.
EYES_Y, MOUTH_Y = 31.5 - 0.32 * 50 * 64 / SIDE, 31.5 + 0.68 * 50 * 64 / SIDE


def dots(points: np.ndarray, size: tuple[int, int] = (400, 400), spread: float = 3.0) -> Image.Image:
    """Gaussian dots of one channel each: red the eyes, green the nose, blue the mouth corners."""
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.zeros((size[1], size[0], 3))
    for (px, py), channel in zip(points, (0, 0, 1, 2, 2), strict=True):
        pixels[..., channel] += 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * spread**2))
    return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))


def centroids(image: Image.Image) -> np.ndarray:
    """[3, 2]: x, y of the eyes', the nose's and the mouth's light."""
    pixels = np.asarray(image).astype(float)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    return np.array([[np.average(axis, weights=pixels[..., c]) for axis in (x, y)] for c in range(3)])


def test_quad_in_closed_form():
    left, right = 200 - SIDE / 2, 200 + SIDE / 2
    top, bottom = 166 - SIDE / 2, 166 + SIDE / 2
    expected = [[left, top], [left, bottom], [right, bottom], [right, top]]
    assert np.allclose(alignment.quad(POINTS), expected)


def test_wide_eyes_rule_the_side():
    points = POINTS.copy()
    points[0, 0], points[1, 0] = 150, 250
    corners = alignment.quad(points)
    assert np.isclose(np.linalg.norm(corners[3] - corners[0]), 2.55 * 1.10 * 100)


def test_landmarks_land_at_the_known_place():
    found = centroids(alignment.align(dots(POINTS), Landmarks(POINTS, 1.0)))
    nose_y = 31.5 + (25 - 16) * 64 / SIDE
    assert np.abs(found - [[31.5, EYES_Y], [31.5, nose_y], [31.5, MOUTH_Y]]).max() < 0.1
    assert 23 < EYES_Y < 25 and 48 < MOUTH_Y < 50


@pytest.mark.parametrize("angle", [-60.0, -17.0, 33.0, 90.0, 180.0])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_invariant_under_rotation_and_scale(angle, scale):
    radians = np.radians(angle)
    turn = scale * np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    points = (POINTS - 200) @ turn.T + 200 * max(scale, 1)
    size = (int(400 * max(scale, 1)),) * 2
    found = centroids(alignment.align(dots(points, size, spread=3 * scale), Landmarks(points, 1.0)))
    expected = centroids(alignment.align(dots(POINTS), Landmarks(POINTS, 1.0)))
    assert np.abs(found - expected).max() < 0.5


def test_large_source_is_reduced_and_stays_in_place():
    points = POINTS * 12
    found = centroids(alignment.align(dots(points, (4800, 3600), spread=40), Landmarks(points, 1.0)))
    assert np.abs(found[[0, 2], 1] - [EYES_Y, MOUTH_Y]).max() < 0.3
    assert np.abs(found[:, 0] - 31.5).max() < 0.3


def test_frame_beyond_the_border_is_reflected():
    points = POINTS - [170, 140]  # the frame begins 34 px left of and 38 px above the picture
    image = Image.fromarray(np.full((400, 400, 3), 200, dtype=np.uint8))
    assert np.asarray(alignment.align(image, Landmarks(points, 1.0))).min() >= 199


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), POINTS / 100])
def test_degenerate_landmarks(points):
    with np.errstate(invalid="ignore"), pytest.raises(alignment.NoFaceError):
        alignment.align(dots(POINTS), Landmarks(points, 1.0))


def test_no_face_in_a_plain_image():
    with pytest.raises(alignment.NoFaceError, match="64x48"):
        alignment.find_face(Image.new("RGB", (64, 48), "grey"))


def test_nose_offset_has_a_sign_and_a_unit():
    points = POINTS.copy()
    points[2, 0] += 10
    assert np.isclose(Landmarks(points, 1.0).nose_offset, 10 / 40)
