"""Distances of pixels: MSE, PSNR and a multi-scale SSIM that 64 px images are large enough for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metrics.base import MetricInfo, SampleMetric

PSNR_CAP = 100.0  # dB
BETAS = (0.0448, 0.2856, 0.3001)  # the first three of Wang et al.'s five
WINDOW, SIGMA = 11, 1.5
SMALLEST = WINDOW * 2 ** (len(BETAS) - 1)


def squared_error(images: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference of each image over channels and pixels -> [N]."""
    return (images - targets).square().flatten(1).mean(dim=1)


def peak_signal_to_noise(images: Tensor, targets: Tensor) -> Tensor:
    """10 log10(4 / MSE) in dB for images in [-1, 1], at most PSNR_CAP -> [N]."""
    return decibels(squared_error(images, targets))


def decibels(mean_squares: Tensor) -> Tensor:
    """PSNR in dB of mean squared differences of values in [-1, 1], at most PSNR_CAP; NaN stays NaN."""
    floor = 4 * 10 ** (-PSNR_CAP / 10)
    return 10 * torch.log10(4 / mean_squares.clamp_min(floor))


def multiscale_ssim(images: Tensor, targets: Tensor, betas: tuple[float, ...] = BETAS) -> Tensor:
    """Multi-scale SSIM of images in [-1, 1] -> [N] in [0, 1]; one scale for each exponent, finest first.

    Reference: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003,
    equation 7. Windows lie wholly inside the image; contrast-structure and SSIM are averaged over windows and
    channels, and a negative average, which has no fractional power, counts as 0.
    Raises ValueError for images that are smaller than the window at the coarsest scale.
    """
    smallest = WINDOW * 2 ** (len(betas) - 1)
    if min(images.shape[-2:]) < smallest:
        raise ValueError(
            f"multi-scale SSIM with {len(betas)} scales needs images of {smallest} px or more, found "
            f"{images.shape[-1]}x{images.shape[-2]}"
        )
    a, b = (images + 1) / 2, (targets + 1) / 2
    value = torch.ones_like(a[:, 0, 0, 0])
    for scale, beta in enumerate(betas):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        contrast, luminance = _ssim_maps(a, b)
        last = scale == len(betas) - 1
        term = (contrast * luminance if last else contrast).flatten(1).mean(dim=1)
        value = value * term.clamp_min(0) ** (beta / sum(betas))
    return value


def _ssim_maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast-structure and luminance of every window, both [N, C, H - 10, W - 10]; a and b in [0, 1]."""
    offsets = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    taps = torch.softmax(-offsets.square() / (2 * SIGMA**2), dim=0)
    channels = a.shape[1]
    maps = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    rows, columns = taps.view(1, 1, -1, 1), taps.view(1, 1, 1, -1)
    for kernel in (rows, columns):
        maps = F.conv2d(maps, kernel.expand(maps.shape[1], 1, -1, -1), groups=maps.shape[1])
    mean_a, mean_b, square_a, square_b, product = maps.split(channels, dim=1)
    c1, c2 = 0.01**2, 0.03**2
    variances = (square_a - mean_a**2) + (square_b - mean_b**2)
    contrast = (2 * (product - mean_a * mean_b) + c2) / (variances + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return contrast, luminance


def mse() -> SampleMetric:
    info = MetricInfo(
        name="mse", title="MSE", direction="lower", unit="", range=(0.0, 4.0), version=1,
        recipe="mean squared difference over channels and pixels, values in [-1, 1], at the images' own resolution",
        reference="as in Tov et al., arXiv 2102.02766, and Roich et al., arXiv 2106.05744", digits=4,
        margin=0.0005,  # PTI's and HyperStyle's tables have three decimals
    )  # fmt: skip
    return SampleMetric(info, squared_error)


def psnr() -> SampleMetric:
    info = MetricInfo(
        name="psnr", title="PSNR", direction="higher", unit="dB", range=(0.0, PSNR_CAP), version=1,
        recipe=f"10 log10(4 / MSE) of each image, then the mean; peak 2 for values in [-1, 1]; capped at "
        f"{PSNR_CAP:g} dB, which identical images get", reference="Gonzalez and Woods, Digital Image Processing",
        digits=2, margin=0.05,  # one decimal
    )  # fmt: skip
    return SampleMetric(info, peak_signal_to_noise)


def ms_ssim_64() -> SampleMetric:
    weights = ", ".join(f"{beta / sum(BETAS):.4f}" for beta in BETAS)
    info = MetricInfo(
        name="ms_ssim_64", title="MS-SSIM (3 scales)", direction="higher", unit="", range=(0.0, 1.0), version=1,
        recipe=f"multi-scale SSIM of RGB values in [0, 1] with the first three of the standard's five scales, "
        f"exponents renormalised to {weights}; Gaussian window of {WINDOW} taps, sigma {SIGMA}, wholly inside the "
        f"image, 2x2 averages between scales; the standard's five scales need 176 px, three need {SMALLEST}; "
        "larger images are measured at their own resolution with the same three scales, so that values of "
        "different resolutions do not compare, nor do they with five-scale MS-SSIM",
        reference="Wang, Simoncelli, Bovik, Multiscale structural similarity, Asilomar 2003", digits=3,
    )  # fmt: skip
    return SampleMetric(info, multiscale_ssim)
