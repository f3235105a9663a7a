"""The parsers of interest regions: where the ellipse lies, what it refuses, what it does not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from datasets import alignment
from metrics import landmarks, regions
from tests.drawn_faces import drawn_face

# The five points that `alignment.quad` puts into a frame of 64 px that is the image itself.
EYE_DISTANCE, DOWN = 22.0, 64 / 2.55
EYES_Y = 31.5 - 0.32 * DOWN


def frontal(turn: float = 0.0, roll: float = 0.0) -> alignment.Landmarks:
    half, mouth = EYE_DISTANCE / 2, EYES_Y + DOWN
    points = np.array(
        [
            [31.5 - half, EYES_Y],
            [31.5 + half, EYES_Y],
            [31.5 + turn * EYE_DISTANCE, EYES_Y + 13],
            [31.5 - 9, mouth],
            [31.5 + 9, mouth],
        ]
    )
    rotation = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return alignment.Landmarks((points - 31.5) @ rotation.T + 31.5, 1.0)


def test_the_ellipse_has_the_stated_axes_and_centre() -> None:
    mask = regions.draw_ellipse(frontal(), 512)
    rows, columns = mask.sum(dim=1), mask.sum(dim=0)
    middle = round((0.5 + regions.CENTRE_DOWN) * 512)
    assert float(rows[middle]) == pytest.approx(2 * regions.HALF_WIDTH * 512, abs=2)
    bottom = (0.5 + regions.CENTRE_DOWN + regions.HALF_HEIGHT) * 512
    assert float(columns[256]) == pytest.approx(bottom, abs=2)  # the top lies above the image
    torch.testing.assert_close(mask, mask.flip(1))
    assert mask.min() == 0 and mask.max() == 1


def test_the_edge_is_soft_one_half_at_the_outline_and_as_wide_as_stated() -> None:
    mask = regions.draw_ellipse(frontal(), 512)
    row = mask[round((0.5 + regions.CENTRE_DOWN) * 512)]
    soft = (row > 0) & (row < 1)
    assert int(soft.sum()) / 2 == pytest.approx(regions.EDGE * 512, abs=2)
    assert (row[:256].diff() >= 0).all() and (row[256:].diff() <= 0).all()


def test_the_ellipse_turns_with_the_face() -> None:
    upright, rolled = (regions.draw_ellipse(frontal(roll=angle), 64) for angle in (0, np.pi / 2))
    torch.testing.assert_close(rolled, upright.rot90(-1), rtol=0, atol=1e-6)


def test_the_ellipse_moves_away_from_the_nose_of_a_turned_head_up_to_a_limit() -> None:
    faces = [frontal(turn) for turn in (-0.2, 0.0, 0.2, 0.6, 0.9)]
    columns = torch.stack([regions.draw_ellipse(face, 64) for face in faces]).sum(dim=1)
    places = torch.arange(64) - 31.5
    centres = (columns * places).sum(dim=1) / columns.sum(dim=1)
    assert float(centres[1]) == pytest.approx(0, abs=1e-5)
    assert float(centres[0]) == pytest.approx(0.2 * regions.TURN * 64, abs=0.5)
    assert float(centres[0]) == pytest.approx(-float(centres[2]), abs=1e-5)
    torch.testing.assert_close(columns[3], columns[4])


def test_the_ellipse_is_the_same_at_every_resolution() -> None:
    face = frontal(0.1, 0.1)
    coarse, fine = (regions.draw_ellipse(face, side)[None, None] for side in (64, 256))
    # A first-order distance and a ramp cut at 0 and 1: pixels of the edge differ from their parts' mean a little.
    torch.testing.assert_close(F.avg_pool2d(fine, 4), coarse, rtol=0, atol=0.1)
    assert float(F.avg_pool2d(fine, 4).mean()) == pytest.approx(float(coarse.mean()), abs=2e-3)


def test_no_face_is_a_reason_and_an_empty_mask() -> None:
    noise = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    masks, reasons = regions.load_parser("landmark_ellipse")(noise)
    assert masks.shape == (3, 1, 64, 64) and not masks.any()
    assert all("no face found: O-Net's probability is 0.0" in reason for reason in reasons)


def test_no_mask_depends_on_its_batch_or_on_the_image_beside_it() -> None:
    colours = [(0.3 + 0.02 * i, 0.02 * i, -0.2) for i in range(landmarks.BATCH + 3)]
    pictures = torch.stack([drawn_face(colour) for colour in colours])
    pictures[2] = 0
    masks, reasons = regions.load_parser("landmark_ellipse")(pictures)
    assert [i for i, reason in enumerate(reasons) if reason] == [2]
    for i in (0, 2, landmarks.BATCH, len(pictures) - 1):
        alone, _ = regions.load_parser("landmark_ellipse")(pictures[i : i + 1])
        assert torch.equal(alone[0], masks[i])


@pytest.mark.parametrize("side", [48, 96, 256])
def test_a_face_has_the_same_region_at_every_resolution(side: int) -> None:
    parser = regions.load_parser("landmark_ellipse")
    masks, reasons = parser(drawn_face(side=side)[None])
    wanted, _ = parser(drawn_face()[None])
    assert reasons == ("",) and masks.shape == (1, 1, side, side)
    resized = F.interpolate(masks, size=(64, 64), mode="bilinear", antialias=True)
    assert float((resized - wanted).abs().mean()) < 0.03


def test_images_that_are_no_squares_are_refused() -> None:
    with pytest.raises(ValueError, match="square images, found 64x48"):
        regions.load_parser("landmark_ellipse")(torch.zeros(1, 3, 48, 64))
    with pytest.raises(ValueError, match=r"found \[3, 64, 64\]"):
        regions.load_parser("landmark_ellipse")(torch.zeros(3, 64, 64))


def test_an_unknown_parser_names_the_near_miss() -> None:
    with pytest.raises(KeyError, match="did you mean 'landmark_ellipse'"):
        regions.load_parser("landmark_elipse")
