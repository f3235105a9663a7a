"""Procedural occluders of faces, antialiased and deterministic for a seed.

Lengths are in units of the face (eye-to-mouth distance, or 1.1 eye distances if larger, as in `alignment.quad`), so an
object covers the same part of a face at all resolutions. x points to the right, y down, and the origin is the object's
position on the face (mouth or eyes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image

SIZES = {"small": 0.7, "medium": 1.0, "large": 1.4}
SAMPLES = 256  # minimum side of the supersampled grid
SKIN = ((241, 205, 178), (224, 172, 132), (186, 128, 92), (122, 78, 54))
VIVID = ((190, 30, 45), (24, 70, 160), (20, 110, 70), (235, 190, 30), (240, 240, 235), (30, 30, 34))

Array = np.ndarray
Point = tuple[float, float]


@dataclass
class Canvas:
    """Sample points x, y [S, S] in face units, their colours, and the object's random generator."""

    x: Array
    y: Array
    random: np.random.Generator
    rgb: Array = field(init=False)  # [S, S, 3] in 0 to 255
    covered: Array = field(init=False)  # [S, S] bool

    def __post_init__(self) -> None:
        self.rgb, self.covered = np.zeros((*self.x.shape, 3)), np.zeros(self.x.shape, dtype=bool)

    def paint(self, inside: Array, colour: Array | tuple[int, int, int], light: Array | float = 1.0) -> None:
        """Paint points.

        Args:
            inside: mask [S, S].
            colour: RGB in 0 to 255.
            light: factor of the colour, a number or [S, S].
        """
        shaded = np.broadcast_to(np.asarray(light, dtype=float), self.x.shape)[inside, None] * np.asarray(colour)
        self.rgb[inside] = shaded.clip(0, 255)
        self.covered |= inside

    def choose(self, colours: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
        return colours[int(self.random.integers(len(colours)))]

    def oval(self, centre: Point, rx: float, ry: float) -> Array:
        """Distance from the centre in radii: 1 on the rim."""
        return np.hypot((self.x - centre[0]) / rx, (self.y - centre[1]) / ry)

    def box(self, centre: Point, half_width: float, half_height: float, corner: float = 0.0) -> Array:
        """Mask of a rectangle with round corners."""
        dx = np.abs(self.x - centre[0]) - (half_width - corner)
        dy = np.abs(self.y - centre[1]) - (half_height - corner)
        return np.hypot(dx.clip(0), dy.clip(0)) + np.minimum(np.maximum(dx, dy), 0) <= corner

    def rod(self, a: Point, b: Point, ra: float, rb: float) -> tuple[Array, Array]:
        """Mask of a round-ended rod with radius ra to rb, and the position across it (-1 to 1)."""
        dx, dy = b[0] - a[0], b[1] - a[1]
        along = ((self.x - a[0]) * dx + (self.y - a[1]) * dy) / (dx * dx + dy * dy)
        along = along.clip(0, 1)
        radius = ra + (rb - ra) * along
        distance = np.hypot(self.x - a[0] - along * dx, self.y - a[1] - along * dy)
        across = ((self.y - a[1]) * dx - (self.x - a[0]) * dy) / np.hypot(dx, dy)
        return distance <= radius, across / radius


def microphone(canvas: Canvas) -> None:
    canvas.y = canvas.y + 0.15  # the ball is on the upper lip, so that the handle is visible
    inside, across = canvas.rod((0.02, 0.2), (0.16, 1.9), 0.135, 0.105)
    canvas.paint(inside, (46, 46, 50), 0.55 + 1.6 * np.exp(-(((across + 0.35) / 0.22) ** 2)))
    ball = canvas.oval((0, 0), 0.31, 0.33) <= 1
    # Lit from the upper left; the wire mesh is two families of slanted lines.
    light = 1.25 - 0.75 * canvas.oval((-0.11, -0.13), 0.44, 0.46)
    mesh = (np.sin((canvas.x + canvas.y) * 62) > 0.35) | (np.sin((canvas.x - canvas.y) * 62) > 0.35)
    canvas.paint(ball, (186, 188, 194), light * np.where(mesh, 1.0, 0.42))
    canvas.paint(ball & (np.abs(canvas.y - 0.05) < 0.045), (120, 122, 130), light + 0.15)


def hand(canvas: Canvas) -> None:
    """The back of a hand with the fingers across the face, from either side."""
    skin = np.asarray(canvas.choose(SKIN), dtype=float)
    if canvas.random.random() < 0.5:
        canvas.x = -canvas.x
    canvas.x, canvas.y = _turned(canvas.x, canvas.y, -0.32)
    forearm, across = canvas.rod((2.6, 0.1), (0.95, 0.02), 0.36, 0.36)
    canvas.paint(forearm, skin, 0.98 - 0.3 * across.clip(0, 1) ** 2)
    canvas.paint(canvas.box((0.68, 0.0), 0.42, 0.44, 0.2), skin, 0.97 - 0.18 * (canvas.y / 0.44).clip(0, 1) ** 2)
    fingers = ((-0.335, -0.46), (-0.115, -0.62), (0.105, -0.55), (0.315, -0.34))  # y, x of the tip
    thumb = ((0.72, -0.36), (0.2, -0.66), 0.135, 0.1)
    for a, b, ra, rb in [thumb, *(((0.55, y), (tip, y * 0.82), 0.118, 0.098) for y, tip in fingers)]:
        rim, _ = canvas.rod(a, b, ra + 0.014, rb + 0.014)
        canvas.paint(rim & (canvas.x < 0.5), skin, 0.5)
        inside, across = canvas.rod(a, b, ra, rb)
        canvas.paint(inside, skin, 1.04 - 0.34 * across.clip(-1, 1) ** 2 - 0.1 * across.clip(-1, 1))
        nail = canvas.oval((b[0] - 0.02, b[1]), 0.075, 0.062) <= 1
        canvas.paint(nail, np.minimum(skin * 1.08 + (6, -2, 2), 255))


def mug(canvas: Canvas) -> None:
    colour = canvas.choose(VIVID)
    if canvas.random.random() < 0.5:
        canvas.x = -canvas.x
    ring = canvas.oval((0.42, 0.06), 0.25, 0.28)
    canvas.paint((ring <= 1) & (canvas.oval((0.42, 0.06), 0.14, 0.16) >= 1), colour, 0.75)
    half = 0.43 - 0.05 * (canvas.y + 0.4)  # it narrows downwards
    bottom = 0.46 + 0.09 * np.sqrt((1 - (canvas.x / 0.4) ** 2).clip(0))
    body = (np.abs(canvas.x) <= half) & (canvas.y >= -0.4) & (canvas.y <= bottom)
    light = 0.72 + 0.55 * np.exp(-(((canvas.x + 0.17) / 0.16) ** 2)) - 0.25 * (canvas.x / 0.4).clip(0, 1)
    canvas.paint(body, colour, light)
    stripe = 255 - np.asarray(colour)
    curve = canvas.y - 0.09 * np.sqrt((1 - (canvas.x / 0.43) ** 2).clip(0))
    canvas.paint(body & (np.abs(curve - 0.1) < 0.07), stripe, light)
    rim = canvas.oval((0, -0.4), 0.43, 0.12)
    canvas.paint(rim <= 1, colour, 1.15)
    canvas.paint(canvas.oval((0, -0.395), 0.37, 0.085) <= 1, (58, 36, 22))


# Strokes of the banner's letters on a grid that is 1 wide and 1 high (y down).
LETTERS: dict[str, tuple[Point, ...]] = {
    "L": ((0, 0), (0, 1), (1, 1)),
    "I": ((0.5, 0), (0.5, 1)),
    "V": ((0, 0), (0.5, 1), (1, 0)),
    "E": ((1, 0), (0, 0), (0, 0.5), (0.8, 0.5), (0, 0.5), (0, 1), (1, 1)),
    "N": ((0, 1), (0, 0), (1, 1), (1, 0)),
    "W": ((0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)),
    "S": ((1, 0), (0, 0), (0, 0.5), (1, 0.5), (1, 1), (0, 1)),
}


def banner(canvas: Canvas) -> None:
    """A strip with letters over the full width of the image."""
    height, colour = 0.25, canvas.choose(VIVID)
    ink = (250, 250, 250) if sum(colour) < 400 else (20, 20, 24)
    canvas.paint(np.abs(canvas.y) <= height, colour)
    canvas.paint((np.abs(canvas.y) <= height) & (np.abs(canvas.y) >= height - 0.03), ink)
    wide, high, pitch = 0.17, 0.26, 0.27
    for position, letter in enumerate("LIVE NEWS LIVE NEWS LIVE NEWS"):
        left = (position - 14.4) * pitch
        if left + wide < canvas.x.min() or left > canvas.x.max():
            continue
        points = [(left + wide * px, high * (py - 0.5)) for px, py in LETTERS.get(letter, ())]
        for a, b in pairwise(points):
            canvas.paint(canvas.rod(a, b, 0.028, 0.028)[0], ink)


def glasses(canvas: Canvas) -> None:
    """Dark glasses; the origin is between the eyes, which are 0.44 units to the left and right."""
    tint = canvas.choose(((22, 22, 26), (48, 30, 18), (16, 28, 48)))
    for side in (-1, 1):
        canvas.paint(canvas.rod((side * 0.5, -0.1), (side * 1.0, -0.14), 0.045, 0.045)[0], (14, 14, 16))
        centre = (side * 0.44, 0.02)
        canvas.paint(canvas.box(centre, 0.36, 0.27, 0.16), (12, 12, 14))
        glare = 1 + 1.4 * np.exp(-(((canvas.x - centre[0] + 0.6 * canvas.y + 0.05) / 0.06) ** 2))
        canvas.paint(canvas.box(centre, 0.325, 0.235, 0.14), tint, glare)
    canvas.paint(canvas.rod((-0.14, -0.06), (0.14, -0.06), 0.04, 0.04)[0], (14, 14, 16))


def patch(canvas: Canvas) -> None:
    """A square of one colour at a random angle."""
    colour = canvas.random.integers(20, 236, 3)
    canvas.x, canvas.y = _turned(canvas.x, canvas.y, float(canvas.random.uniform(-np.pi / 4, np.pi / 4)))
    canvas.paint(canvas.box((0, 0), 0.37, 0.37), colour)


@dataclass(frozen=True)
class Object:
    """An occluder: a function that draws it, the halves of a face that it may cover, its maximum turn in degrees."""

    draw: Callable[[Canvas], None]
    places: tuple[str, ...]
    turn: float


OBJECTS = {
    "microphone": Object(microphone, ("lower",), 18),
    "hand": Object(hand, ("lower", "upper"), 14),
    "mug": Object(mug, ("lower",), 10),
    "banner": Object(banner, ("lower", "upper"), 5),
    "glasses": Object(glasses, ("upper",), 3),
    "patch": Object(patch, ("lower", "upper"), 0),
}


def draw(name: str, size: str, where: str, landmarks: Array, resolution: int, seed: str) -> Image.Image:
    """An object as an RGBA image, placed on a face.

    Args:
        name: of OBJECTS.
        size: of SIZES.
        where: "lower" (around the mouth) or "upper" (around the eyes).
        landmarks: of the face, [5, 2] in pixels.
        resolution: side of the image in pixels.
        seed: any text; it determines position (by 0.06 units), angle, scale (by 4 %), colours and sides.

    Raises:
        ValueError: name, size or where is unknown; the message lists the choices.
    """
    if name not in OBJECTS or size not in SIZES:
        known = f"objects: {', '.join(OBJECTS)}; sizes: {', '.join(SIZES)}"
        raise ValueError(f"no occluder {name!r} of size {size!r}; {known}")
    thing = OBJECTS[name]
    if where not in thing.places:
        raise ValueError(f"occluder {name!r} lies over the {' or '.join(thing.places)} face, found {where!r}")
    random = np.random.default_rng(list(hashlib.sha256(f"{name} {size} {where} {seed}".encode()).digest()))
    factor = max(2, -(-SAMPLES // resolution))
    grid = (np.arange(resolution * factor) + 0.5) / factor - 0.5  # pixel centres are integers
    x, y = np.meshgrid(grid, grid)
    eyes, mouth, axis = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0), landmarks[1] - landmarks[0]
    unit = max(float(np.linalg.norm(mouth - eyes)), 1.1 * float(np.linalg.norm(axis)))
    drift, turn, stretch = random.uniform(-0.06, 0.06, 2), random.uniform(-1, 1), random.uniform(0.96, 1.04)
    centre = (mouth if where == "lower" else eyes) + unit * drift
    angle = float(np.arctan2(axis[1], axis[0])) + float(np.deg2rad(thing.turn * turn))
    scale = unit * SIZES[size] * float(stretch)
    canvas = Canvas(*_turned((x - centre[0]) / scale, (y - centre[1]) / scale, angle), random)
    thing.draw(canvas)
    return _averaged(canvas, factor)


def lay(clean: Image.Image, overlay: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The RGB image with the object on it, and the object's mask (mode L): 255 where it may change a pixel."""
    laid = Image.alpha_composite(clean.convert("RGBA"), overlay).convert("RGB")
    return laid, overlay.getchannel("A").point(lambda alpha: 255 if alpha else 0)


def _turned(x: Array, y: Array, angle: float) -> tuple[Array, Array]:
    """Coordinates in axes rotated clockwise (y points down) by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return c * x + s * y, c * y - s * x


def _averaged(canvas: Canvas, factor: int) -> Image.Image:
    side = len(canvas.x) // factor
    blocks = (side, factor, side, factor)
    covered = canvas.covered.reshape(blocks).mean(axis=(1, 3))
    rgb = (canvas.rgb * canvas.covered[..., None]).reshape(*blocks, 3).mean(axis=(1, 3))
    rgb = rgb / np.maximum(covered, 1e-9)[..., None]
    levels = np.concatenate([rgb, 255 * covered[..., None]], axis=2)
    return Image.fromarray(np.rint(levels).astype(np.uint8), "RGBA")
