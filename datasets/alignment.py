"""Face detection and alignment to the suite's 64 px frame, the same for all bundled data sets.

The frame follows the FFHQ alignment (NVlabs/ffhq-dataset, download_ffhq.py): the quad's orientation comes from eyes and
mouth. Two numbers differ, as the in-domain faces are framed tightly: side = 2.55 x max(eye-to-mouth distance, 1.10 x
eye distance) instead of FFHQ's 2.0 / 1.8, and the centre is 0.32 of the way from the eyes to the mouth instead of 0.1.
Five MTCNN landmarks replace dlib's 68. The recipe's name, `mtcnn5_tight`, is part of a data set's version.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from facenet_pytorch import MTCNN

RECIPE = "mtcnn5_tight"
SUPERSAMPLING = 4
MIN_SHORT_SIDE = 20  # MTCNN's smallest face; a strip that is narrower after the scaling has no pyramid
MUCH_REDUCED, FEW_PIXELS = 0.5, 48  # a large image whose face has few pixels at detection: landmarks are imprecise
# ArcFace's template: eyes, nose and mouth corners, left to right as seen, in pixels of a 112 px crop.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
TEMPLATE_SIDE = 112
# O-Net alone on a 64 px crop places all five points higher than the full cascade on the enlarged crop, by this fraction
# of the box (mean over 37 samples of the DCGAN: 1.1 px of 56).
ONET_ALONE_OFFSET = 0.02


class NoFaceError(ValueError):
    """No face, or none that passes the filter, was found in an image."""


@dataclass(frozen=True)
class Landmarks:
    """Five points [5, 2] in pixels (left eye, right eye, nose, left and right mouth corner in the image) and p.

    width: of the face's box in pixels; NaN where there is none.
    """

    points: np.ndarray
    probability: float
    width: float = float("nan")

    @property
    def tilt(self) -> float:
        """Degrees by which the way from the eyes to the mouth leaves the vertical, 0 for an upright face."""
        x, y = self.points[3:].mean(axis=0) - self.points[:2].mean(axis=0)
        return float(np.degrees(np.arctan2(x, y)))

    @property
    def eye_distance(self) -> float:
        return float(np.linalg.norm(self.points[1] - self.points[0]))

    @property
    def nose_offset(self) -> float:
        """Offset of the nose from the eyes' midline along the eye axis, in eye distances; positive: right."""
        left, right, nose = self.points[:3]
        axis = (right - left) / max(self.eye_distance, 1e-6)
        return float((nose - (left + right) / 2) @ axis / max(self.eye_distance, 1e-6))


@cache
def detector() -> MTCNN:
    """MTCNN with facenet-pytorch's weights, on the CPU so that landmarks do not depend on the device."""
    from facenet_pytorch import MTCNN  # slow to import, and not needed for data sets that are built

    return MTCNN(keep_all=True, min_face_size=20, post_process=False, device="cpu").eval()


@cache
def onet(device: torch.device) -> torch.nn.Module:
    """A copy of MTCNN's last network on a device."""
    return copy.deepcopy(detector().onet).to(device)


def find_face(image: Image.Image, min_side: int = 320, max_side: int = 1024) -> Landmarks:
    """The largest face of an image; arguments and errors as of `find_faces`."""
    return find_faces(image, min_side, max_side)[0]


def find_faces(image: Image.Image, min_side: int = 320, max_side: int = 1024) -> list[Landmarks]:
    """The faces of an image, largest first, as they stand: see datasets.faces for turned images.

    Args:
        image: RGB.
        min_side, max_side: limits of the longer side at detection; other images are resized.

    Raises:
        NoFaceError: MTCNN finds no face.
    """
    side = max(image.size)
    scale = min_side / side if side < min_side else max_side / side if side > max_side else 1.0
    if min(image.size) * scale < MIN_SHORT_SIDE:
        raise NoFaceError(f"a strip of {image.width}x{image.height} px is too narrow for a face")
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized = image.resize(size, Image.Resampling.BICUBIC) if scale != 1.0 else image
    with torch.no_grad():
        boxes, probabilities, points = detector().detect(resized, landmarks=True)
    if boxes is None:
        looked = f", looked at in {size[0]}x{size[1]} px: crop it around the face" if scale < MUCH_REDUCED else ""
        raise NoFaceError(f"no face found in an image of {image.width}x{image.height} px{looked}")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # Pixel centres: x' = (x + 0.5) / scale - 0.5.
    pixels = (np.asarray(points, dtype=np.float64) + 0.5) / scale - 0.5
    order = np.argsort(-areas, kind="stable")
    faces = [Landmarks(pixels[i], float(probabilities[i]), float(boxes[i, 2] - boxes[i, 0]) / scale) for i in order]
    if scale >= MUCH_REDUCED:
        return faces
    return [_from_near(image, face) if face.width * scale < FEW_PIXELS else face for face in faces]


def _from_near(image: Image.Image, face: Landmarks) -> Landmarks:
    """A face of which few pixels were left, found again in the square of four times its width around it."""
    centre = face.points.mean(axis=0)
    corner = (centre - 2 * face.width).clip(0).astype(int)
    end = np.minimum(centre + 2 * face.width, image.size).astype(int)
    try:
        near = find_faces(image.crop((*corner, *end)))
    except NoFaceError:
        return face
    moved = [replace(other, points=other.points + corner) for other in near]
    return min(moved, key=lambda other: float(np.linalg.norm(other.points.mean(axis=0) - centre)))


@torch.no_grad()
def landmarks_in_boxes(images: torch.Tensor, box: tuple[int, int, int, int], passes: int = 2) -> list[Landmarks]:
    """Landmarks by O-Net, the last network of MTCNN, for square images of one face at a known position.

    Args:
        images: [N, 3, H, W] in [-1, 1].
        box: x0, y0, x1, y1 in pixels, the first input of O-Net for all images.
        passes: runs of O-Net; the input of a later one is the box that the previous one regressed.
    """
    size, device = images.shape[-1], images.device
    boxes = torch.tensor([box], dtype=torch.float32, device=device).repeat(len(images), 1)
    for _ in range(passes):
        edges = boxes.round()
        # roi -> 48x48 by one affine grid; positions outside the image read as grey.
        centre, half = (edges[:, :2] + edges[:, 2:]) / 2, (edges[:, 2:] - edges[:, :2]) / 2
        theta = torch.zeros(len(images), 2, 3, device=device)
        theta[:, 0, 0], theta[:, 1, 1] = half[:, 0] / (size / 2), half[:, 1] / (size / 2)
        theta[:, :, 2] = centre / (size / 2) - 1
        grid = torch.nn.functional.affine_grid(theta, [len(images), 3, 48, 48], align_corners=False)
        crops = torch.nn.functional.grid_sample(images, grid, align_corners=False)
        regression, relative, probability = onet(device)(crops * (127.5 * 0.0078125))  # to (x - 127.5) / 128
        extent = (edges[:, 2:] - edges[:, :2]).repeat(1, 2)
        regressed = edges + regression * extent
        # Squared as in MTCNN: O-Net is trained on squares.
        centre = (regressed[:, :2] + regressed[:, 2:]) / 2
        half = (regressed[:, 2:] - regressed[:, :2]).amax(dim=1, keepdim=True) / 2
        boxes = torch.cat([centre - half, centre + half], dim=1)
    x = relative[:, :5] * extent[:, :1] + edges[:, :1]
    y = (relative[:, 5:] + ONET_ALONE_OFFSET) * extent[:, 1:2] + edges[:, 1:2]
    points = torch.stack([x, y], dim=2).double().cpu().numpy()
    return [Landmarks(p, q) for p, q in zip(points, probability[:, 1].tolist(), strict=True)]


def quad(points: np.ndarray) -> np.ndarray:
    """Corners [4, 2] of the frame: upper left, lower left, lower right, upper right, in pixels."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    eye_axis, down = points[1] - points[0], mouth - eyes
    x = eye_axis - np.array([-down[1], down[0]])
    x /= np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    side = 2.55 * max(float(np.linalg.norm(down)), 1.10 * float(np.linalg.norm(eye_axis)))
    centre = eyes + 0.32 * down
    half = side / 2
    return np.stack([centre + half * (sx * x + sy * y) for sx, sy in ((-1, -1), (-1, 1), (1, 1), (1, -1))])


def align(image: Image.Image, landmarks: Landmarks, size: int = 64) -> Image.Image:
    """Warp an RGB image to the frame of `quad`: reflect padding, bicubic, supersampled 4 times.

    Args:
        image: RGB.
        landmarks: of the face, in pixels of the image.
        size: side of the result in pixels.

    Raises:
        NoFaceError: the landmarks are degenerate.
    """
    corners = quad(landmarks.points)
    side = float(np.linalg.norm(corners[3] - corners[0]))
    if not np.isfinite(side) or side < 8:
        raise NoFaceError(f"the face's frame is {side:.1f} px wide; at least 8 px are needed")
    big = size * SUPERSAMPLING
    # A warp samples one point per output pixel: reduce a large image first so that none is skipped.
    if side > 2 * big:
        factor = int(side // big)
        image = image.reduce(factor)
        corners = (corners + 0.5) / factor - 0.5
    low, high = np.floor(corners.min(axis=0)).astype(int) - 2, np.ceil(corners.max(axis=0)).astype(int) + 3
    image = image.crop((max(0, low[0]), max(0, low[1]), min(image.width, high[0]), min(image.height, high[1])))
    corners = corners - np.maximum(low, 0)
    pixels = np.asarray(image)
    before = np.maximum(0, -low)
    after = np.maximum(0, high - np.maximum(low, 0) - np.array(pixels.shape[1::-1]))
    if (before > 0).any() or (after > 0).any():
        pad = ((before[1], after[1]), (before[0], after[0]), (0, 0))
        padded = np.pad(pixels, pad, "reflect") if min(pixels.shape[:2]) > 1 else np.pad(pixels, pad, "edge")
        image = Image.fromarray(padded)
        corners = corners + before
    data = tuple((corners + 0.5).flatten())  # Pillow's quads are in pixel edges
    warped = image.transform((big, big), Image.Transform.QUAD, data, Image.Resampling.BICUBIC)
    return warped.resize((size, size), Image.Resampling.BOX)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """(a, b) of the least-squares similarity transform a z + b from points [N, 2] to others, as complex numbers."""
    start, end = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    centred = start - start.mean()
    turn = (centred.conj() @ (end - end.mean())) / (centred.conj() @ centred)
    return turn, end.mean() - turn * start.mean()


def template_crop(image: Image.Image, landmarks: Landmarks, side: int = TEMPLATE_SIDE) -> Image.Image:
    """The face on ArcFace's template by a similarity transform: bilinear, black outside the image.

    There is no antialiasing, as in the released code of the identity metric.

    Args:
        image: RGB.
        landmarks: of the face, in pixels of the image.
        side: of the result in pixels.
    """
    template = np.array(TEMPLATE) * side / TEMPLATE_SIDE
    turn, shift = similarity(template + 0.5, landmarks.points + 0.5)  # Pillow counts from pixel edges
    data = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    return image.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
