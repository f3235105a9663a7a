"""Attribute predictors: closed forms, their interface, and what they see in drawn faces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datasets import registry
from datasets.alignment import Landmarks
from datasets.ffhq_alignment import frame_of_5
from datasets.images import read_rgb, to_tensor
from metrics import attributes
from metrics.attributes import expression, geometry
from metrics.attributes.faces import Faces
from metrics.landmarks import face_part, framed
from metrics.networks.sface import FRAME
from tests.drawn_faces import drawn_face


def seen(yaw: float, pitch: float = 0.0, mouth: float = 0.9) -> Faces:
    """A rigid head turned by angles in degrees and seen from afar, as landmarks."""
    level, height, nose = geometry.NOSE_LEVEL, geometry.EYES_TO_MOUTH, geometry.NOSE
    head = np.array(
        [
            [-0.5, 0, 0],
            [0.5, 0, 0],
            [0, level * height, nose],
            [-mouth / 2, height, 0],
            [mouth / 2, height, 0],
        ]
    )
    a, b = math.radians(yaw), math.radians(pitch)
    nod = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    turn = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    faces = Faces(torch.zeros(1, 3, 64, 64))
    flat = (head @ nod.T @ turn.T)[:, :2] * 22 + (32, 24)
    faces.__dict__["_landmarks"] = (torch.from_numpy(flat)[None], torch.ones(1))
    return faces


@pytest.mark.parametrize("angle", [-40.0, -7.0, 0.0, 20.0])
def test_yaw_and_pitch_recover_the_angle_of_a_turned_head(angle: float) -> None:
    assert float(geometry.yaw(seen(angle))) == pytest.approx(angle, abs=1e-6)
    assert float(geometry.pitch(seen(0.0, angle))) == pytest.approx(angle, abs=1e-6)


def test_the_mouth_is_as_wide_whichever_way_the_head_turns() -> None:
    assert float(geometry.mouth_width(seen(0.0))) == pytest.approx(90)
    assert float(geometry.mouth_width(seen(30.0))) == pytest.approx(90)


def test_brightness_of_grey_and_of_a_colour() -> None:
    grey = attributes.predict(["brightness"], torch.zeros(1, 3, 8, 8))["brightness"]
    green = torch.tensor([-1.0, 1.0, -1.0])[None, :, None, None].expand(1, 3, 8, 8)
    assert grey.tolist() == pytest.approx([50.0])
    assert attributes.predict(["brightness"], green)["brightness"].tolist() == pytest.approx([71.52])


def test_the_crown_is_the_band_above_the_forehead_alone() -> None:
    picture = -torch.ones(1, 3, 64, 64)
    picture[:, :, :8, 16:48] = 0.0
    assert attributes.predict(["crown"], picture)["crown"].tolist() == pytest.approx([50.0])


def test_warmth_is_red_less_blue() -> None:
    picture = torch.tensor([0.4, 1.0, -0.2])[None, :, None, None].expand(1, 3, 8, 8)
    assert attributes.predict(["warmth"], picture)["warmth"].tolist() == pytest.approx([30.0])


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_mouths_opening_is_measured_by_the_distance_of_the_eyes(
    gap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = torch.zeros(68, 2)
    points[expression.LEFT_EYE], points[expression.RIGHT_EYE] = torch.tensor([0.2, 0.3]), torch.tensor([0.6, 0.6])
    places = torch.tensor([[0.4, 0.8], [0.5, 0.8], [0.6, 0.8]])
    points[expression.UPPER_LIP] = places
    points[expression.LOWER_LIP] = places.flip(0) + torch.tensor([0.0, gap])
    monkeypatch.setattr(expression, "landmark_network", lambda: lambda boxes: points.flatten().expand(len(boxes), -1))
    found = expression.mouth_opening(Faces(torch.zeros(2, 3, 64, 64)))  # eyes are 0.5 apart
    assert found.tolist() == pytest.approx([200 * gap] * 2, abs=1e-4)


def test_smiling_is_told_by_odds(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.tensor([0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # happy against six others
    monkeypatch.setattr(expression, "expression_network", lambda: lambda boxes: logits.expand(len(boxes), -1))
    found = expression.smile(Faces(torch.zeros(1, 3, 64, 64)))
    assert found.tolist() == pytest.approx([2 - math.log(6)])


@pytest.mark.assets
def test_happy_people_smile_and_surprised_ones_open_their_mouths() -> None:
    manifest = registry.load("openpeople")
    values = {}
    for wanted, attribute in (("happy", "smile"), ("surprised", "mouth_opening")):
        for label in ("neutral", wanted):
            ids = [i for i in manifest.ids if i.endswith(f"-{label}") and "emotion" in i]
            pictures = torch.stack([to_tensor(read_rgb(manifest.root / manifest.by_id[i].file)) for i in ids])
            values[attribute, label] = attributes.predict([attribute], pictures)[attribute]
        neutral, other = values[attribute, "neutral"], values[attribute, wanted]
        known = other[~other.isnan()]  # of two laughing faces the landmarks are not found at 64 px
        assert len(known) >= 7 and float((known > neutral.nanmedian()).double().mean()) >= 0.85, (attribute, other)


def test_a_mirrored_face_looks_the_other_way() -> None:
    face = drawn_face()[None].clone()
    face[:, :, 30:40, 36:38] = -0.6  # a shadow beside the nose: no face is drawn quite evenly
    there, back = (float(attributes.predict(["yaw"], part)["yaw"]) for part in (face, face.flip(3)))
    # O-Net itself is not even: a drawn face and its mirror image differ by 4 degrees of lean.
    assert there > back and abs(there + back) / 2 < 5


def test_values_do_not_depend_on_the_batch() -> None:
    faces = torch.stack([drawn_face((0.5 - 0.01 * i, 0.1, -0.1)) for i in range(19)])
    names = [name for name in attributes.names() if not attributes.find(name).network]
    whole, single = attributes.predict(names, faces), attributes.predict(names, faces[17:18])
    for name in names:
        torch.testing.assert_close(whole[name][17:18], single[name], rtol=0, atol=0, equal_nan=True)


def test_no_face_and_values_out_of_range_are_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = attributes.predict(["yaw", "brightness"], noise)
    assert found["yaw"].isnan().all() and not found["brightness"].isnan().any()
    info = attributes.find("brightness")
    monkeypatch.setitem(
        attributes._built_in(), "brightness", attributes.AttributeInfo(**{**vars(info), "valid": (0, 9)})
    )
    assert attributes.predict(["brightness"], noise)["brightness"].isnan().all()


def test_an_unknown_attribute_and_a_wrong_shape_are_named() -> None:
    with pytest.raises(KeyError, match="did you mean 'yaw'"):
        attributes.predict(["yam"], torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"found \[3, 64, 64\]"):
        attributes.predict(["yaw"], torch.zeros(3, 64, 64))


@pytest.mark.parametrize("name", attributes.names())
def test_every_attribute_describes_itself(name: str) -> None:
    info = attributes.find(name)
    assert info.name == name and info.title and info.unit and info.recipe and info.version >= 1
    assert info.valid[0] < info.valid[1]
    assert attributes.predict([name], torch.zeros(0, 3, 64, 64))[name].shape == (0,)


def test_the_face_is_cut_out_of_ffhq_s_frame_where_the_tight_frame_has_it() -> None:
    points = np.array(FRAME)  # of the mean face in the tight frame
    frame = frame_of_5(Landmarks(points, 1.0))
    corner, right, down = frame.corners[0], frame.corners[3] - frame.corners[0], frame.corners[1] - frame.corners[0]
    inside = np.linalg.solve(np.stack([right, down], axis=1), (points - corner).T).T  # in FFHQ's frame, 0 to 1
    for side in (64, 256):
        centres = (torch.arange(side) + 0.5) / side * 2 - 1
        coordinates = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)])
        image = torch.cat([coordinates, torch.zeros(1, side, side)])[None]
        part = face_part(image, "ffhq")[0]
        assert part.shape == (3, 64, 64)
        for (x, y), (u, v) in zip(points, inside, strict=True):
            seen = part[:2, round(y), round(x)]
            wanted = 2 * torch.tensor([u, v]) - 1
            assert (seen - wanted).abs().max() < 0.015  # half a pixel
    assert torch.equal(face_part(image, "tight"), framed(image))
