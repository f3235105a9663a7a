"""Interest regions: which pixels of an image are the face and its hair.

A `RegionParser` reads the region from an image. `landmark_ellipse` serves aligned faces and needs no weights but
MTCNN's; `bisenet` is a face parsing network whose weights the user supplies. IntereStyle (arXiv 2209.10811) takes
face and hair as its interest region and names no parser; both are this suite's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from datasets import alignment, assets
from inversion_bench.registry import Registry
from metrics.landmarks import FRAME_SIDE, LEAST_PROBABILITY, find_landmarks
from metrics.networks.bisenet import FACE, HAIR, SIDE, BiSeNet, load_bisenet

# A target is a function without arguments that returns a RegionParser.
PARSERS: Registry[Callable[[], RegionParser]] = Registry(
    "region parser",
    {"landmark_ellipse": "metrics.regions:landmark_ellipse", "bisenet": "metrics.regions:bisenet"},
    "inversion_bench.region_parsers",
)

# The ellipse in the frame of `alignment.quad` as seen from its middle, in sides of that frame: down is positive.
# Chosen by eye on overlays of 24 images each of openpeople, orl and a DCGAN's faces in the tight frame, then checked on
# the 133 images of openpeople there whose plain backdrop can be told by its colour: 1.6 % of the region is backdrop,
# and it holds 86 % of what is not, but for the lowest 6 of 64 rows (neck, shoulders). A wider ellipse (0.46) would hold
# 91 % with 4 % of backdrop. In FFHQ's frame, of 192 such images: 1.2 %, and 63 %, as shoulders are a part of the rest.
CENTRE_DOWN, HALF_WIDTH, HALF_HEIGHT = -0.11, 0.42, 0.58
EDGE = 0.05  # width of the soft edge
# A turned head reaches further behind than before the nose: the centre moves by this much for each eye distance
# that the nose stands beside the eyes' midline, but not beyond MOST_TURNED of them.
TURN, MOST_TURNED = 0.3, 0.6


@dataclass(frozen=True)
class RegionParser:
    """Reads the interest region of images; recipe says by what, in one sentence, with its version.

    asset: the weights that it needs, by their name in the asset manifest.
    """

    name: str
    recipe: str
    function: Callable[[Tensor], tuple[Tensor, tuple[str, ...]]]
    asset: str = ""

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """Images [N, 3, H, W] in [-1, 1] -> masks [N, 1, H, W] in [0, 1] of their type, and N reasons.

        A reason is "" where a region was found; elsewhere it says what is amiss, and that mask is all zeros.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"region {self.name}: expected images [N, 3, H, W], found {list(images.shape)}")
        if not len(images):
            return images[:, :1].clone(), ()
        masks, reasons = self.function(images)
        assert masks.shape == images[:, :1].shape and len(reasons) == len(images), self.name
        return masks.to(images), reasons


@cache
def load_parser(name: str) -> RegionParser:
    """The parser `name`; its weights are read at its first use. Raises UnknownNameError."""
    return PARSERS.get(name)()


def missing(name: str, user: str = "") -> str | None:
    """Why the parser cannot be used here (by `user`, if any) and what to do about it, or None."""
    return assets.missing(load_parser(name).asset, user or f"region {name}")


def landmark_ellipse() -> RegionParser:
    """A soft ellipse over face and hair of aligned faces, from five landmarks; square images of any size."""
    recipe = (
        "a soft-edged ellipse over face and hair (landmark_ellipse, version 1): the frame (mtcnn5_tight) of five "
        f"landmarks by MTCNN's O-Net alone at {FRAME_SIDE} px; half axes {HALF_WIDTH} and {HALF_HEIGHT} of the "
        f"frame's side, centre {-CENTRE_DOWN} above its middle and {TURN} of the nose's offset against the turn of "
        f"the head, edge {EDGE} wide; no region below an O-Net probability of {LEAST_PROBABILITY}"
    )
    return RegionParser("landmark_ellipse", recipe, _parse_ellipses)


def _parse_ellipses(images: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(f"region landmark_ellipse: expected square images, found {width}x{height}")
    faces = find_landmarks(images)
    reasons = tuple(_reason(landmarks) for landmarks in faces)
    masks = torch.zeros(len(images), 1, height, width)
    for mask, face, reason in zip(masks, faces, reasons, strict=True):
        if not reason:
            mask[0] = draw_ellipse(face, width)
    return masks, reasons


def _reason(landmarks: alignment.Landmarks) -> str:
    if landmarks.probability < LEAST_PROBABILITY:
        return f"no face found: O-Net's probability is {landmarks.probability:.2f}, needed {LEAST_PROBABILITY}"
    return ""


def draw_ellipse(face: alignment.Landmarks, side: int) -> Tensor:
    """Mask [side, side] float32 of a face whose landmarks are in pixels of a FRAME_SIDE image."""
    corners = alignment.quad(face.points)
    middle, right, down = corners.mean(axis=0), corners[3] - corners[0], corners[1] - corners[0]
    # Pixel centres of the image in FRAME_SIDE pixels from the frame's middle; then along its axes, in its sides.
    places = (np.arange(side) + 0.5) * FRAME_SIDE / side - 0.5
    columns, rows = (places - middle[0])[None, :], (places - middle[1])[:, None]
    area = right @ right  # the frame is a square
    turned = np.clip(face.nose_offset, -MOST_TURNED, MOST_TURNED)
    x = (columns * right[0] + rows * right[1]) / area + TURN * turned
    y = (columns * down[0] + rows * down[1]) / area - CENTRE_DOWN
    # Distance from the outline to first order: radius - 1 over the length of its gradient, slope / radius.
    squares = (x / HALF_WIDTH) ** 2 + (y / HALF_HEIGHT) ** 2
    slope = np.sqrt((x / HALF_WIDTH**2) ** 2 + (y / HALF_HEIGHT**2) ** 2)
    distance = (squares - np.sqrt(squares)) / np.maximum(slope, 1e-12)
    inside = np.where(squares < 0.25, 1.0, np.clip(0.5 - distance / EDGE, 0, 1))
    return torch.from_numpy(inside.astype(np.float32))


def bisenet() -> RegionParser:
    """Face and hair as BiSeNet parses them, for images of any size; needs the asset `bisenet`."""
    recipe = (
        "face and hair by face parsing (bisenet, version 1): BiSeNet on ResNet18 (zllrunning/face-parsing.PyTorch, "
        f"79999_iter.pth) at {SIDE} px, bilinear, ImageNet normalisation, argmax of its first head, classes "
        f"{', '.join(map(str, FACE))} (face) and {', '.join(map(str, HAIR))} (hair), averaged over the pixels of "
        "a smaller image, bilinear for a larger one"
    )

    def parse(images: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        return parse_classes(images, bisenet_network(images.device))

    return RegionParser("bisenet", recipe, parse, asset="bisenet")


@cache
def bisenet_network(device: torch.device) -> BiSeNet:
    return load_bisenet().to(device)


def parse_classes(images: Tensor, network: BiSeNet) -> tuple[Tensor, tuple[str, ...]]:
    """Masks and reasons of a network whose `parse` gives classes; float32, image by image: 512 px take memory."""
    wanted = torch.tensor(FACE + HAIR, device=images.device)
    classes = torch.cat([network.parse(image[None].float()) for image in images])
    inside = torch.isin(classes, wanted)[:, None].float()  # [N, 1, 512, 512]
    size = images.shape[-2:]
    if max(size) > SIDE:
        masks = F.interpolate(inside, size=size, mode="bilinear", align_corners=False)
    else:
        masks = F.interpolate(inside, size=size, mode="area")
    reasons = tuple("" if found else "no face found: no pixel is face or hair" for found in inside.flatten(1).any(1))
    return masks, reasons
