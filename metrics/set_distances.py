"""Distances between two sets of feature vectors, and what single images contribute to them.

The rows of a report belong to images, and its intervals come from resampling images, but a distance of sets has no
value for one image. Both kinds of pseudo-values here average to the distance and vary over images as the distance does
over sets: the distance plus an image's influence on it (infinitesimal jackknife; Hampel 1974, Efron 1982), where
reconstruction i and target i are resampled together, and Tukey's leave-one-out jackknife. Over a part of the images,
their mean is the distance of that part to first order only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Images below which a Frechet distance is not given. Real images against 120 others of their set score, jackknifed
# (AlexNet's features, mean and standard deviation of 8 draws): 340 +- 105 for 12 of openpeople, 243 +- 44 for 48,
# 233 +- 10 for 80; of ORL 257 +- 47, 94 +- 9, 86 +- 11. From about 50 on the number is the set's, not the draw's.
LEAST_FRECHET = 50
DIRECTIONS, DIRECTIONS_SEED = 1000, 0  # that sliced distances are averaged over


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] and covariance root R [D, n] with R R^T = covariance (over n - 1) of features [n, D]; float64."""
    features = features.double()
    mean = features.mean(dim=0)
    return mean, ((features - mean) / math.sqrt(len(features) - 1)).T


def frechet_distance(mean_a: Tensor, root_a: Tensor, mean_b: Tensor, root_b: Tensor) -> Tensor:
    """Frechet distance of two Gaussians: |ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)).

    Heusel et al., arXiv 1706.08500, equation 6. The trace of (Ca Cb)^(1/2) is the sum of the singular values of
    Ra^T Rb, so that n may be smaller than D and nothing is complex.

    Args:
        mean_a, mean_b: [D].
        root_a, root_b: covariance roots [D, m], as of `moments`.
    """
    return _frechet(mean_a - mean_b, root_a.T, root_b, torch.linalg.svdvals(root_a.T @ root_b))


def _frechet(gap: Tensor, root_a: Tensor, root_b: Tensor, singular_values: Tensor) -> Tensor:
    return gap.square().sum() + root_a.square().sum() + root_b.square().sum() - 2 * singular_values.sum()


def frechet_influences(images: Tensor, targets: Tensor) -> Tensor:
    """Frechet distance plus the influence of each image on it, for features [n, D] and [n, D] -> [n]; float64.

    Image i and target i are resampled together.
    """
    _checked(images, targets)
    distance, of_images, of_targets = _frechet_parts(images, targets)
    return distance + of_images + of_targets


def frechet_to(images: Tensor, reference: Tensor) -> Tensor:
    """As `frechet_influences`, to other images that stay as they are: features [n, D] and [m, D] -> [n]."""
    distance, of_images, _ = _frechet_parts(images, reference)
    return distance + of_images


def _frechet_parts(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Frechet distance of features [n, D] and [m, D], and the influences on it of both sides, [n] and [m]; float64.

    With A and B the centred features over sqrt(n - 1) and A B^T = U S V^T, the derivative of tr (Ca Cb)^(1/2) by the
    weight of image i is n sum_k S_k U_ik^2 / 2: no matrix is inverted.
    """
    sides = [side.double() for side in (images, targets)]
    gap = sides[0].mean(dim=0) - sides[1].mean(dim=0)
    a, b = ((side - side.mean(dim=0)) / (len(side) - 1) ** 0.5 for side in sides)
    (q_a, r_a), (q_b, r_b) = torch.linalg.qr(a), torch.linalg.qr(b)
    u, s, vh = torch.linalg.svd(r_a @ r_b.T, full_matrices=False)
    influences = []
    for side, away, vectors in ((a, gap, q_a @ u), (b, -gap, q_b @ vh.T)):
        n = len(side)
        influence = 2 * (n - 1) ** 0.5 * side @ away + n * side.square().sum(dim=1) - side.square().sum()
        influences.append(influence - n * vectors.square() @ s + s.sum())
    return _frechet(gap, a, b, s), influences[0], influences[1]


def kernel_influences(images: Tensor, targets: Tensor) -> Tensor:
    """1,000 times the kernel distance plus influences, for features [n, D] and [n, D] -> [n]; float64.

    Binkowski et al., arXiv 1801.01401: squared MMD with the kernel (x.y / D + 1)^3, the unbiased estimate over all
    images at once. Libraries average it over random subsets, which adds noise to the same estimate.
    """
    n = _checked(images, targets)
    x, y = images.double(), targets.double()
    xx, yy, xy = (_cubic(*pair) for pair in ((x, x), (y, y), (x, y)))
    within = [(k.sum(dim=1) - k.diagonal()) / (n - 1) for k in (xx, yy)]
    terms = within[0] + within[1] - xy.mean(dim=1) - xy.mean(dim=0)
    return 1000 * (2 * terms - terms.mean())


def sliced_influences(images: Tensor, targets: Tensor) -> Tensor:
    """Sliced Wasserstein distance plus influences, for features [n, D] and [n, D] -> [n]; float64.

    Berthet et al., MIND, arXiv 2605.06797: the squared Wasserstein distance in one dimension, by sorting, averaged over
    DIRECTIONS random unit vectors, always the same. An image's influence is its Kantorovich potential, the integral of
    twice the distance that mass is moved, less the potential's mean.
    """
    n = _checked(images, targets)
    stream = torch.Generator().manual_seed(DIRECTIONS_SEED)
    directions = torch.randn(images.shape[1], DIRECTIONS, generator=stream, dtype=torch.float64)
    directions /= directions.norm(dim=0)
    (x, order_x), (y, order_y) = ((side.double().cpu() @ directions).sort(dim=0) for side in (images, targets))
    distance = (x - y).square().mean()
    influence = torch.zeros(n, dtype=torch.float64)
    for own, other, order in ((x, y, order_x), (y, x, order_y)):
        moved = own - other
        potential = torch.zeros_like(own)
        potential[1:] = (own.diff(dim=0) * (moved[1:] + moved[:-1])).cumsum(dim=0)
        potential -= potential.mean(dim=0)
        influence += torch.zeros_like(own).scatter(0, order, potential).mean(dim=1)
    return (distance + influence).to(images.device)


def of_halves(influences: Callable[[Tensor, Tensor], Tensor], targets: Tensor) -> Tensor:
    """The distance between two halves of real images, every other one of targets [n, D], as a value for each [n].

    Both images of a pair have the value of their pair; an odd last one has the mean.
    """
    half = len(targets) // 2
    pairs = influences(targets[0 : 2 * half : 2], targets[1 : 2 * half : 2])
    return torch.cat([pairs.repeat_interleave(2), pairs.mean(dim=0, keepdim=True)])[: len(targets)]


def pseudo_values(full: float, without: Sequence[float]) -> list[float]:
    """Tukey's jackknife (Efron, The Jackknife, the Bootstrap, 1982): n * full - (n - 1) * without[i].

    Their mean is the number with its bias of order 1/n removed, their spread is its uncertainty.

    Args:
        full: the number of all n images.
        without: [n], the number of all images but the i-th.

    Raises:
        ValueError: n < 2.
    """
    n = len(without)
    if n < 2:
        raise ValueError(f"a jackknife needs at least two images, found {n}")
    return [n * full - (n - 1) * value for value in without]


def frechet_pseudo_values(features: Tensor, mean_ref: Tensor, root_ref: Tensor) -> list[float]:
    """Jackknife pseudo-values of the Frechet distance to a reference; float64.

    Args:
        features: [n, D].
        mean_ref, root_ref: `moments` of the reference, [D] and [D, m].

    Raises:
        ValueError: n < 3.
    """
    n = len(features)
    if n < 3:
        raise ValueError(f"Frechet pseudo-values need at least three images, found {n}")
    features = features.double()
    keep = ~torch.eye(n, dtype=torch.bool)
    sets = (features, *(features[row] for row in keep))
    full, *without = (float(frechet_distance(*moments(subset), mean_ref, root_ref)) for subset in sets)
    return pseudo_values(full, without)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _checked(images: Tensor, targets: Tensor) -> int:
    if images.ndim != 2 or images.shape != targets.shape:
        raise ValueError(f"expected features [n, D] of both, found {list(images.shape)} and {list(targets.shape)}")
    if len(images) < 2:
        raise ValueError(f"a distance of sets needs at least two images, found {len(images)}")
    return len(images)
