"""Frame and domain meet: photographs are cut to the generator's frame, metrics that do not hold there have no value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from datasets import alignment, assets, faces, ffhq_alignment, registry
from datasets.images import read_rgb, to_tensor
from datasets.scope import Scope
from metrics.identity import embed

pytestmark = pytest.mark.assets
TURNS = {0: None, **faces.QUARTERS}


@pytest.fixture(scope="module")
def portraits() -> list[Image.Image]:
    """Ten people of openpeople, 400 px high."""
    found = []
    for folder in sorted(assets.ensure("openpeople").glob("P*")):
        image = read_rgb(folder / "assets" / "studio_portrait.jpg")
        image.thumbnail((400, 400))
        found.append(image)
    return found


def framed(image: Image.Image, frame: str, size: int) -> Image.Image:
    """The frame of an upright photograph, by the alignments themselves."""
    found = alignment.find_face(image)
    if frame == "tight":
        return alignment.align(image, found, size)
    return ffhq_alignment.align(image, ffhq_alignment.frame_of_5(found), size)


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference in levels of 8 bits."""
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean())


@pytest.mark.parametrize(
    "turn", [0, 180, pytest.param(90, marks=pytest.mark.slow), pytest.param(270, marks=pytest.mark.slow)]
)
def test_a_turned_photograph_is_turned_back(portraits, turn):
    for image in portraits[:8]:
        lying = image.transpose(faces.QUARTERS[360 - turn]) if turn else image
        found = faces.cut(lying, "ffhq", 64)
        assert (f"turned by {turn} degrees" in found.note) == bool(turn)
        assert difference(found.image, framed(image, "ffhq", 64)) < 0.1


@pytest.mark.parametrize(("frame", "size"), [("tight", 64), ("ffhq", 128)])
def test_what_is_in_the_frame_is_not_cut_again(portraits, frame, size):
    for image in portraits[:8]:
        aligned = framed(image, frame, size)
        found = faces.cut(aligned, frame, size)
        assert (
            found.note == f"in the frame {frame} already: not cut again" and found.image.tobytes() == aligned.tobytes()
        )
        other = faces.cut(aligned, "tight" if frame == "ffhq" else "ffhq", size)
        assert "already" not in other.note
        if frame == "tight":
            assert "lies outside the image and is mirrored" in other.note


def test_one_of_several_faces(portraits, tmp_path):
    small, large = portraits[0].resize((200, 200)), portraits[3].resize((360, 360))
    both = Image.new("RGB", (560, 360), "grey")
    both.paste(small, (0, 60))
    both.paste(large, (200, 0))
    first, second = faces.cut(both, "ffhq", 64), faces.cut(both, "ffhq", 64, face=2)
    assert first.note.startswith("2 faces: the largest is taken") and "number 2 by size" in second.note
    assert difference(first.image, framed(large, "ffhq", 64)) < 15 < difference(second.image, framed(large, "ffhq", 64))
    with pytest.raises(alignment.NoFaceError, match="face 3 is asked for, 2 found"):
        faces.cut(both, "ffhq", 64, face=3)
    both.save(tmp_path / "both.png")
    manifest = registry.load("folder", path=str(tmp_path), align="ffhq", face="all")
    assert manifest.ids == ["both", "both-face2"] and "number 2 by size" in manifest.notes["both-face2"]


def test_a_tiny_face_is_noted(portraits):
    image = portraits[1].resize((24, 24), Image.Resampling.BICUBIC)
    assert "px wide: enlarged" in faces.cut(image, "tight", 64).note
    assert "enlarged" not in faces.cut(portraits[1], "tight", 64).note


def test_identity_of_strangers_is_low_in_both_frames(portraits):
    """By the mean face's crop of the tight frame, FFHQ's frame had 0.52 on average and 0.72 at most."""
    for frame, mean, largest in (("tight", 0.20, 0.60), ("ffhq", 0.26, 0.65)):
        vectors = embed(torch.stack([to_tensor(framed(image, frame, 128)) for image in portraits[:6]]), "sface")
        cosines = (vectors @ vectors.T)[~torch.eye(6, dtype=torch.bool)]
        assert cosines.mean() < mean and cosines.max() < largest


def test_scopes():
    assert Scope("ffhq").over(Scope("tight", "faces")) == Scope("ffhq", "faces")
    assert Scope("tight", "faces").differs(Scope("ffhq", "faces")) == "frame tight, not ffhq"
    assert not Scope("", "faces").differs(Scope("ffhq"))
    assert "faces; the images are in domain cats" in Scope("none", "cats").excluded_by((), ("faces",))
    assert not Scope().excluded_by(("ffhq",), ("faces",))
    with pytest.raises(ValueError, match="frame is 'wide', expected one of ffhq, tight, none"):
        Scope("wide")
