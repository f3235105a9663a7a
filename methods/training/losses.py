"""What the encoders minimise, in one place: L2, LPIPS (AlexNet), identity, and the norm of w.

Reference: Richardson et al., arXiv 2008.00951, section 3.2. Identity is 1 - cosine of a frozen recognition network
(SFace for the bundled generators, IR-SE50 at the official configuration).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from datasets.alignment import Landmarks
from datasets.ffhq_alignment import frame_of_5
from datasets.scope import FFHQ, TIGHT
from methods.features import mean_square, perceptual
from metrics.networks import IdentityNetwork, load_identity
from metrics.networks.sface import FRAME, FRAME_SIDE, SFace, crop_transform

identity_network = cache(load_identity)  # one copy a process


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms. identity_images: how many images of a batch the identity term is measured on.
    identity_frame: frame of the images, for SFace's crop.

    The recognition network costs more than encoder and generator on a CPU; images of a batch come in random
    order, so that the mean over its first few is an unbiased estimate of the mean over all.
    """

    l2: float = 1.0
    lpips: float = 0.8
    identity: float = 0.1
    identity_network: str = "sface"
    identity_images: int = 1
    identity_frame: str = TIGHT


def reconstruction_terms(
    images: Tensor, targets: Tensor, weights: LossWeights, per_image: Tensor | float = 1.0, identity: bool = True
) -> dict[str, Tensor]:
    """The weighted terms as means over the batch.

    Args:
        images: [N, 3, R, R] in about [-1, 1].
        targets: [N, 3, R, R].
        weights: of the terms; a term of weight 0 is left out.
        per_image: factor of each image's L2 and LPIPS, [N].
        identity: leave that term out when False.

    Returns:
        Scalars by name: l2, lpips, identity.
    """
    images, targets = images.float(), targets.float()  # under autocast the networks below keep their own precision
    terms = {}
    if weights.l2:
        terms["l2"] = weights.l2 * (mean_square(images, targets) * per_image).mean()
    if weights.lpips:
        network = perceptual("lpips_alex").to(images)
        terms["lpips"] = weights.lpips * (network(images, targets).flatten() * per_image).mean()
    if weights.identity and identity:
        count = weights.identity_images
        terms["identity"] = weights.identity * identity_distance(
            images[:count], targets[:count], weights.identity_network, weights.identity_frame
        )
    return terms


def identity_distance(images: Tensor, targets: Tensor, network: str, frame: str = TIGHT) -> Tensor:
    """Mean of 1 - cosine between embeddings; gradient to `images` only. frame: of the images, where sface crops."""
    model: IdentityNetwork = identity_network(network).to(images)
    crop = partial(model.crop, transform=_of_ffhq()) if isinstance(model, SFace) and frame == FFHQ else model.crop
    with torch.no_grad():
        wanted = model.embed(crop(targets))
    return (1 - (model.embed(crop(images)) * wanted).sum(dim=1)).mean()


@cache
def _of_ffhq() -> Tensor:
    """SFace's crop [2, 3] of the mean face in FFHQ's frame."""
    points = np.array(FRAME)
    inside = frame_of_5(Landmarks(points, 1.0)).inside(points)
    return torch.from_numpy(crop_transform(inside * FRAME_SIDE - 0.5, FRAME_SIDE))


def w_norm(latent: Tensor, latent_avg: Tensor) -> Tensor:
    """Mean L2 distance of a code, one norm over all layers, from the mean of W (pSp's regulariser of synthesis)."""
    return (latent - latent_avg).flatten(1).norm(dim=1).mean()
