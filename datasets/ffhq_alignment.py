"""FFHQ's alignment: the frame in which official generators and encoders were trained.

The formula (NVlabs/ffhq-dataset, download_ffhq.py; eladrich/pixel2style2pixel, scripts/align_all_parallel.py) takes
eyes and mouth from 68 landmarks, of any predictor that the user has. With five landmarks (MTCNN), eye centres and mouth
corners replace them; this recipe is called `mtcnn5_ffhq`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from datasets import alignment

RECIPE = "mtcnn5_ffhq"
RECIPE_68 = "ffhq_68"
LEFT_EYE, RIGHT_EYE, MOUTH_CORNERS = slice(36, 42), slice(42, 48), (48, 54)  # in iBUG's order of 68 points


@dataclass(frozen=True)
class Frame:
    """The square of a crop: corners [4, 2] (upper left, lower left, lower right, upper right) and side, in pixels."""

    corners: np.ndarray
    side: float

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2] in pixels of the image as fractions of the frame, 0 to 1 to the right and down."""
        upper_left, lower_left, _, upper_right = self.corners
        axes = np.stack([upper_right - upper_left, lower_left - upper_left], axis=1)
        return np.linalg.solve(axes, (points - upper_left).T).T


def frame_of_68(landmarks: np.ndarray) -> Frame:
    """The frame of 68 landmarks [68, 2] in pixels. Raises ValueError for another number of them."""
    if landmarks.shape != (68, 2):
        raise ValueError(f"expected 68 landmarks [68, 2], found {list(landmarks.shape)}")
    left, right = landmarks[MOUTH_CORNERS, :]
    return _frame(landmarks[LEFT_EYE].mean(axis=0), landmarks[RIGHT_EYE].mean(axis=0), left, right)


def frame_of_5(landmarks: alignment.Landmarks) -> Frame:
    """The frame of MTCNN's five points."""
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.points
    return _frame(left_eye, right_eye, left_mouth, right_mouth)


def _frame(left_eye: np.ndarray, right_eye: np.ndarray, left_mouth: np.ndarray, right_mouth: np.ndarray) -> Frame:
    eyes, eye_axis = (left_eye + right_eye) / 2, right_eye - left_eye
    down = (left_mouth + right_mouth) / 2 - eyes
    x = eye_axis - np.array([-down[1], down[0]])
    x = x / np.hypot(*x) * max(np.hypot(*eye_axis) * 2.0, np.hypot(*down) * 1.8)
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * down
    corners = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    return Frame(corners, 2 * float(np.hypot(*x)))


def align(image: Image.Image, frame: Frame, size: int, supersampled: int = 0) -> Image.Image:
    """The content of a frame: downscaled if it is large, reflected and blurred beyond the image, warped (bilinear).

    Args:
        image: RGB.
        frame: in pixels of the image.
        size: side of the result in pixels.
        supersampled: side of the warp in pixels, which is then downscaled; 0: `size`, as in pSp and e4e (FFHQ: 4096).
    """
    image, corners, side = _reduced(image, frame, size)
    border = max(round(side * 0.1), 3)
    image, corners = _cropped(image, corners, border)
    image, corners = _padded(image, corners, side, border)
    cut = supersampled or size
    data = tuple((corners + 0.5).flatten())
    warped = image.transform((cut, cut), Image.Transform.QUAD, data, Image.Resampling.BILINEAR)
    return warped if cut == size else warped.resize((size, size), Image.Resampling.LANCZOS)


def _reduced(image: Image.Image, frame: Frame, size: int) -> tuple[Image.Image, np.ndarray, float]:
    shrink = int(np.floor(frame.side / size * 0.5))
    if shrink <= 1:
        return image, frame.corners, frame.side
    smaller = (round(image.width / shrink), round(image.height / shrink))
    return image.resize(smaller, Image.Resampling.LANCZOS), frame.corners / shrink, frame.side / shrink


def _cropped(image: Image.Image, corners: np.ndarray, border: int) -> tuple[Image.Image, np.ndarray]:
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    left, top = np.maximum(low - border, 0)
    right, bottom = np.minimum(high + border, image.size)
    if right - left >= image.width and bottom - top >= image.height:
        return image, corners
    return image.crop((int(left), int(top), int(right), int(bottom))), corners - np.array([left, top])


def _padded(image: Image.Image, corners: np.ndarray, side: float, border: int) -> tuple[Image.Image, np.ndarray]:
    """Reflect the image where the frame extends beyond it, and blur it towards the median with the distance."""
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    before = np.maximum(-low + border, 0)
    after = np.maximum(high - np.array(image.size) + border, 0)
    if max(before.max(), after.max()) <= border - 4:
        return image, corners
    least = round(side * 0.3)
    (left, top), (right, bottom) = np.maximum(before, least), np.maximum(after, least)
    pixels = np.pad(np.asarray(image, dtype=np.float32), ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width = pixels.shape[:2]
    y, x, _ = np.ogrid[:height, :width, :1]
    outside = np.maximum(
        1 - np.minimum(np.float32(x) / left, np.float32(width - 1 - x) / right),
        1 - np.minimum(np.float32(y) / top, np.float32(height - 1 - y) / bottom),
    )
    blur = side * 0.02
    pixels += (gaussian_filter(pixels, [blur, blur, 0]) - pixels) * np.clip(outside * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    padded = Image.fromarray(np.uint8(np.clip(np.rint(pixels), 0, 255)))
    return padded, corners + np.array([left, top])
