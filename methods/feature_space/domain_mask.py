"""Which parts of an image the generator can make: DHR's division into inside and outside of its domain.

Reference: Cao et al., "What Decreases Editing Capability? Domain-Specific Hybrid Refinement for Improved GAN
Inversion", arXiv 2301.12141; caopulan/GANInverter@e3d5d4d. An image is cut into superpixels. One is inside the domain
where a short optimisation in W comes close to it, and where it belongs to the face. Two parts are this suite's own:
superpixels by k-means in colour and place (SLIC without its limit of the search), and the region of face and hair by
the suite's parsers, where the authors have FaRL and thresholds for single classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageCms
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from datasets.images import resized, to_image
from methods.features import perceptual, projector_features
from methods.generators.stylegan2 import Generator
from methods.optimization.projector import ProjectorConfig, StreamDraws, projection
from metrics.regions import load_parser

SEGMENTED_SIDE = 256  # of the image that is cut into superpixels, at most
NETWORK = "lpips_alex"


@dataclass(frozen=True)
class DomainConfig:
    """What is inside the domain.

    steps: of the optimisation in W. segments: superpixels. compactness: of them; higher is more like a grid. threshold:
    a superpixel of face or hair is inside below this mean LPIPS, summed over layers. without_region: the threshold
    where no region is found, for all superpixels. parser: of the region, see metrics.regions; "none" for none.
    """

    steps: int = 40
    segments: int = 200
    compactness: float = 30.0
    threshold: float = 0.7
    without_region: float = 0.6
    parser: str = "landmark_ellipse"


def domain_masks(
    generator: Generator, images: Tensor, config: DomainConfig, streams: Sequence[torch.Generator]
) -> Tensor:
    """Masks [N, 1, R, R], 1 inside the generator's domain and 0 outside.

    Args:
        generator: frozen.
        images: [N, 3, R, R] in [-1, 1].
        config: how they are made.
        streams: of each image's random numbers.
    """
    project = ProjectorConfig(steps=config.steps)
    features = projector_features(NETWORK, images)
    last = deque(projection(generator, images, features, project, StreamDraws(streams), per_layer=False), maxlen=1)
    with torch.no_grad():
        made = generator.synthesis(last.pop().w.expand(-1, generator.num_ws, -1)).clamp(-1, 1)
        errors = perceptual(NETWORK).to(images).spatial(made, images)
    regions = torch.zeros_like(errors) if config.parser == "none" else load_parser(config.parser)(images)[0]
    masks = [
        inside(superpixels(image, config.segments, config.compactness), error, region, config)
        for image, error, region in zip(images, errors, regions, strict=True)
    ]
    return torch.stack(masks).to(images)


def inside(segments: Tensor, errors: Tensor, region: Tensor, config: DomainConfig) -> Tensor:
    """The mask [1, R, R] of one image.

    Args:
        segments: number of each pixel's superpixel [R, R].
        errors: LPIPS of each pixel [1, R, R].
        region: the region [1, R, R] in [0, 1], zeros where none was found.
        config: the thresholds.
    """
    index, count = segments.flatten(), int(segments.max()) + 1
    area = torch.bincount(index, minlength=count).clamp_min(1)

    def mean(values: Tensor) -> Tensor:
        return torch.bincount(index, values.flatten().double().cpu(), minlength=count) / area

    found = bool(region.any())
    chosen = mean(errors) < (config.threshold if found else config.without_region)
    if found:
        chosen &= mean(region) > 0.5
    return chosen[index].view_as(errors).float()


def superpixels(image: Tensor, count: int, compactness: float) -> Tensor:
    """An image [3, R, R] in [-1, 1] in about `count` parts of like colour: the number of each pixel's part [R, R]."""
    from sklearn.cluster import KMeans  # slow to import

    full = image.shape[-1]
    small = resized(image[None].cpu().float(), min(full, SEGMENTED_SIDE))
    side = small.shape[-1]
    colours = _lab(to_image(gaussian_blur(small, [7, 7], [1.0, 1.0])[0].clamp(-1, 1)))
    rows, columns = np.mgrid[:side, :side]
    step = side / np.sqrt(count)  # between neighbouring parts, in pixels
    places = np.stack([rows, columns], axis=-1) * (compactness / step)
    pixels = np.concatenate([colours, places], axis=-1)
    starts = np.arange(step / 2, side, step).astype(int)
    first = pixels[np.ix_(starts, starts)].reshape(-1, 5)
    parts = KMeans(len(first), init=first, n_init=1, max_iter=10, algorithm="lloyd").fit_predict(pixels.reshape(-1, 5))
    labels = torch.from_numpy(parts).view(1, 1, side, side).float()
    return F.interpolate(labels, size=(full, full), mode="nearest")[0, 0].long()


def _lab(image: Image.Image) -> np.ndarray:
    """CIE L*a*b* of each pixel [H, W, 3], L from 0 to 100."""
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert converted is not None
    lightness, a, b = np.moveaxis(np.asarray(converted).astype(float), -1, 0)
    # 8 bits: a and b are signed bytes.
    return np.stack([lightness * 100 / 255, a.astype(np.uint8).view(np.int8), b.astype(np.uint8).view(np.int8)], -1)
