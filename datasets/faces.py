"""From a photograph to a frame: which way is up, which face is taken, and a note of what was done to it.

Detectors find faces in turned photographs, too, and place their points as if they stood upright. MTCNN is then less
sure: 0.70 to 0.9992 on ten portraits of three sizes turned by 180 degrees, 0.997 to 1.0 on the upright ones, whose
doubt is at least ten times smaller. So a detection that is not certain is compared with those of the other turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from datasets import alignment, ffhq_alignment, images
from datasets.alignment import Landmarks
from datasets.scope import FFHQ, FRAMES, TIGHT, WHOLE

CERTAIN = 0.9998  # MTCNN's probability of an upright face
SEEN = 0.9  # of a face that is counted beside a more probable one
MOST_TILT = 45.0  # degrees; what is tilted more is nearer to upright after a quarter turn
GAIN = math.log10(2)  # a quarter turn has to halve the remaining doubt
# Of the side: an image whose corners are that near to the frame's is in the frame already. Measured on 40 images in
# FFHQ's frame: up to 0.05; on 52 in the tight one, which cuts off chins: up to 0.18; between the frames: from 0.23 on.
NEAR = {FFHQ: 0.1, TIGHT: 0.2}
OUTSIDE = 0.15  # of the frame's area, from where on what is mirrored is noted
ENLARGED = 1.5  # times, from where on enlarging is noted
QUARTERS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@dataclass(frozen=True)
class Cut:
    """A square image of the wanted side, and what was done that one might not expect; "" for nothing."""

    image: Image.Image
    note: str = ""


@dataclass(frozen=True)
class Faces:
    """The faces of an image, largest first, in pixels of the image as it was turned (counter-clockwise, degrees)."""

    image: Image.Image
    turn: int
    found: tuple[Landmarks, ...]


def find_upright(image: Image.Image) -> Faces:
    """The faces of an image, after the quarter turn in which they stand upright.

    Raises:
        NoFaceError: there is none in any of the four turns.
    """
    best = _in_turn(image, 0)
    if best.found and best.found[0].probability >= CERTAIN and abs(best.found[0].tilt) <= MOST_TILT:
        return best
    for turn in QUARTERS:
        other = _in_turn(image, turn)
        if _score(other) > _score(best) + GAIN:
            best = other
    if not best.found:
        alignment.find_faces(image)  # raises, with the reason
    return best


def _in_turn(image: Image.Image, turn: int) -> Faces:
    turned = image.transpose(QUARTERS[turn]) if turn else image
    try:
        found = tuple(alignment.find_faces(turned))
    except alignment.NoFaceError:
        return Faces(turned, turn, ())
    clear = tuple(face for face in found if face.probability >= SEEN)
    return Faces(turned, turn, clear or found[:1])


def _score(faces: Faces) -> float:
    """How sure it is that the largest face stands upright: the order of the remaining doubt, less if it is tilted."""
    if not faces.found:
        return -math.inf
    face = faces.found[0]
    return -math.log10(max(1 - face.probability, 1e-5)) - (2.0 if abs(face.tilt) > MOST_TILT else 0.0)


def cut(image: Image.Image, frame: str, size: int, face: int = 1) -> Cut:
    """An image brought to a frame.

    Args:
        image: RGB.
        frame: ffhq or tight: the frame of a face, unless the image is in it already; none: the image, which is square.
        size: side of the result in pixels.
        face: which one is taken, counted from the largest, 1.

    Raises:
        ImageError: frame is none and the image is not square.
        NoFaceError: there is no face, or no such one.
        ValueError: there is no such frame.
    """
    if frame not in FRAMES:
        raise ValueError(f"frame is {frame!r}, expected one of {', '.join(FRAMES)}")
    if frame == WHOLE:
        return Cut(_resized(whole(image), size))
    faces = find_upright(image)
    count = len(faces.found)
    if face > count:
        raise alignment.NoFaceError(f"face {face} is asked for, {count} found")
    chosen, turned = faces.found[face - 1], faces.image
    notes = [f"turned by {faces.turn} degrees"] if faces.turn else []
    if count > 1:
        x, y = chosen.points[:2].mean(axis=0)
        which = "the largest" if face == 1 else f"number {face} by size"
        notes.append(f"{count} faces: {which} is taken, at {x:.0f}, {y:.0f} px")
    corners = _corners(chosen, frame)
    side = float(np.linalg.norm(corners[3] - corners[0]))
    if _is_whole(corners, turned, NEAR[frame]):
        notes.append(f"in the frame {frame} already: not cut again")
        result, side = _resized(turned, size), float(turned.width)
    else:
        if (outside := _outside(corners, turned)) > OUTSIDE:
            notes.append(f"{outside:.0%} of the frame {frame} lies outside the image and is mirrored")
        result = _aligned(turned, chosen, frame, size)
    if side * ENLARGED < size:
        notes.append(f"the face is {chosen.width:.0f} px wide: enlarged {size / side:.1f} times")
    return Cut(result, "; ".join(notes))


def whole(image: Image.Image) -> Image.Image:
    """The same image. Raises ImageError for one that is not square."""
    if image.width != image.height:
        raise images.ImageError(
            f"expected a square image, found {image.width}x{image.height} px; crop it or align it to a face"
        )
    return image


def _resized(image: Image.Image, size: int) -> Image.Image:
    return image if image.width == size else image.resize((size, size), Image.Resampling.BICUBIC)


def _aligned(image: Image.Image, face: Landmarks, frame: str, size: int) -> Image.Image:
    if frame == TIGHT:
        return alignment.align(image, face, size)
    return ffhq_alignment.align(image, ffhq_alignment.frame_of_5(face), size)


def _corners(face: Landmarks, frame: str) -> np.ndarray:
    return alignment.quad(face.points) if frame == TIGHT else ffhq_alignment.frame_of_5(face).corners


def _outside(corners: np.ndarray, image: Image.Image) -> float:
    """The fraction of a frame's area that lies outside the image."""
    along = np.linspace(0, 1, 21)[:, None, None]
    grid = corners[0] + along * (corners[1] - corners[0]) + along.reshape(1, -1, 1) * (corners[3] - corners[0])
    return float(((grid < -0.5) | (grid > np.array(image.size) - 0.5)).any(axis=-1).mean())


def _is_whole(corners: np.ndarray, image: Image.Image, near: float) -> bool:
    """Whether a frame's corners [4, 2] in pixels are nearly those of a square image; near: in sides."""
    if image.width != image.height:
        return False
    own = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * image.width - 0.5
    return float(np.linalg.norm(corners - own, axis=1).max()) < near * image.width
