"""Distances between two sets of feature vectors, as one share for each image: the mean of the shares is the distance.

Rows of a report belong to images, and its intervals come from resampling images. A set's number has no value for one
image; what it has is the image's influence on it (Hampel 1974; Efron's infinitesimal jackknife, 1982): distance plus
influence averages to the distance, and varies over images as the distance does over sets. Reconstruction i and target
i are drawn together, so both influences are in share i. Over a part of the images a mean of shares is the distance of
that part to first order only.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_shares(images: Tensor, targets: Tensor) -> Tensor:
    """Shares [n] of the Frechet distance of features [n, D] and [n, D]; float64.

    Heusel et al., arXiv 1706.08500, equation 6, with covariances over n - 1. With A and B the centred features over
    sqrt(n - 1), tr (Ca Cb)^(1/2) is the sum of the singular values of A B^T = U S V^T, and its derivative by the weight
    of image i is n sum_k S_k U_ik^2 / 2: no matrix is inverted, and n may be smaller than D.
    """
    n = _checked(images, targets)
    sides = [side.double() for side in (images, targets)]
    gap = sides[0].mean(dim=0) - sides[1].mean(dim=0)
    centred = [side - side.mean(dim=0) for side in sides]
    a, b = (side / (n - 1) ** 0.5 for side in centred)
    (q_a, r_a), (q_b, r_b) = torch.linalg.qr(a), torch.linalg.qr(b)
    u, s, vh = torch.linalg.svd(r_a @ r_b.T)
    distance = gap.square().sum() + a.square().sum() + b.square().sum() - 2 * s.sum()
    influence = 2 * (centred[0] - centred[1]) @ gap
    for side, vectors in ((a, q_a @ u), (b, q_b @ vh.T)):
        influence = influence + n * side.square().sum(dim=1) - side.square().sum()
        influence = influence - n * vectors.square() @ s + s.sum()
    return distance + influence


def kernel_shares(images: Tensor, targets: Tensor) -> Tensor:
    """Shares [n] of 1,000 times the kernel distance of features [n, D] and [n, D]; float64.

    Binkowski et al., arXiv 1801.01401: squared MMD with the kernel (x.y / D + 1)^3, the unbiased estimate over all
    images at once. Libraries average it over random parts of them, which estimates the same and adds chance.
    """
    n = _checked(images, targets)
    x, y = images.double(), targets.double()
    xx, yy, xy = (_cubic(*pair) for pair in ((x, x), (y, y), (x, y)))
    within = [(k.sum(dim=1) - k.diagonal()) / (n - 1) for k in (xx, yy)]
    each = within[0] + within[1] - xy.mean(dim=1) - xy.mean(dim=0)
    distance = each.mean()
    return 1000 * (2 * each - distance)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _checked(images: Tensor, targets: Tensor) -> int:
    if images.ndim != 2 or images.shape != targets.shape:
        raise ValueError(f"expected features [n, D] of both, found {list(images.shape)} and {list(targets.shape)}")
    if len(images) < 2:
        raise ValueError(f"a distance of sets needs at least two images, found {len(images)}")
    return len(images)
