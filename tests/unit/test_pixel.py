"""MSE, PSNR and multi-scale SSIM against closed forms and an independent computation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d

from metrics import pixel, registry

levels = st.floats(-1, 1, allow_nan=False, width=32)
seeds = st.integers(0, 2**31 - 1)


def flat(value: float, side: int = 64) -> torch.Tensor:
    return torch.full((1, 3, side, side), value, dtype=torch.float64)


def noise(seed: int, count: int = 2, side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side, side, generator=generator, dtype=torch.float64) * 2 - 1


@given(levels, levels)
def test_mse_and_psnr_of_flat_images(a: float, b: float) -> None:
    expected = (a - b) ** 2
    assert registry.load("mse")(flat(a), flat(b)).item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    decibels = 10 * math.log10(4 / expected) if expected > 4e-10 else 100.0
    assert registry.load("psnr")(flat(a), flat(b)).item() == pytest.approx(decibels, abs=1e-9)


def test_psnr_of_opposites_is_zero_and_of_one_grey_level_is_48_decibels() -> None:
    psnr = registry.load("psnr")
    assert psnr(flat(1), flat(-1)).item() == pytest.approx(0, abs=1e-12)
    assert psnr(flat(0), flat(2 / 255)).item() == pytest.approx(20 * math.log10(255), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds, seeds)
def test_metrics_are_symmetric_and_psnr_follows_mse(seed: int, other: int) -> None:
    a, b = noise(seed), noise(other)
    for name in ("mse", "psnr", "ms_ssim_64"):
        torch.testing.assert_close(registry.load(name)(a, b), registry.load(name)(b, a), rtol=0, atol=1e-12)
    expected = (10 * torch.log10(4 / registry.load("mse")(a, b))).clamp_max(pixel.PSNR_CAP)
    torch.testing.assert_close(registry.load("psnr")(a, b), expected)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_identical_images_reach_the_stated_optimum(seed: int) -> None:
    images = noise(seed).float()
    assert registry.load("mse")(images, images).tolist() == [0, 0]
    assert registry.load("psnr")(images, images).tolist() == [pixel.PSNR_CAP] * 2
    assert "100 dB" in registry.load("psnr").info.recipe
    torch.testing.assert_close(registry.load("ms_ssim_64")(images, images), torch.ones(2))


def test_the_cap_lies_above_the_smallest_difference_of_8_bit_images_at_64_px() -> None:
    images = flat(-1)
    other = images.clone()
    other[0, 0, 0, 0] += 2 / 255
    assert 88 < registry.load("psnr")(images, other).item() < pixel.PSNR_CAP


@given(levels, levels)
def test_ms_ssim_of_flat_images_is_the_luminance_term(a: float, b: float) -> None:
    x, y = (a + 1) / 2, (b + 1) / 2
    luminance = (2 * x * y + 1e-4) / (x * x + y * y + 1e-4)
    expected = luminance ** (0.3001 / 0.6305)
    assert registry.load("ms_ssim_64")(flat(a), flat(b)).item() == pytest.approx(expected, abs=1e-9)


def reference_ms_ssim(a: np.ndarray, b: np.ndarray, betas: tuple[float, ...]) -> float:
    """One pair of [3, H, W] in [0, 1], by scipy's correlation."""
    offsets = np.arange(-5, 6)
    taps = np.exp(-(offsets**2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, taps, axis=1), taps, axis=2)[:, 5:-5, 5:-5]

    value = 1.0
    for scale, beta in enumerate(betas):
        mean_a, mean_b = blur(a), blur(b)
        spread = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2
        term = (2 * (blur(a * b) - mean_a * mean_b) + 0.0009) / (spread + 0.0009)
        if scale == len(betas) - 1:
            term = term * (2 * mean_a * mean_b + 0.0001) / (mean_a**2 + mean_b**2 + 0.0001)
        value *= max(term.mean(), 0) ** (beta / sum(betas))
        a, b = (x.reshape(3, x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean(axis=(2, 4)) for x in (a, b))
    return float(value)


@pytest.mark.parametrize("betas", [pixel.BETAS, (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)])
def test_ms_ssim_agrees_with_an_independent_computation(betas: tuple[float, ...]) -> None:
    side = 64 if len(betas) == 3 else 192
    a = noise(1, side=side)
    b = (0.7 * a + 0.3 * noise(2, side=side)).clamp(-1, 1)
    pairs = zip(((a + 1) / 2).numpy(), ((b + 1) / 2).numpy(), strict=True)
    expected = [reference_ms_ssim(x, y, betas) for x, y in pairs]
    torch.testing.assert_close(pixel.multiscale_ssim(a, b, betas), torch.tensor(expected, dtype=torch.float64))


def test_ms_ssim_falls_as_noise_grows() -> None:
    yy, xx = torch.meshgrid(torch.linspace(-2, 2, 64), torch.linspace(-2, 2, 64), indexing="ij")
    image = torch.sin(3 * xx + yy).expand(1, 3, 64, 64) * 0.8
    grain = noise(3, 1).float()
    values = [pixel.multiscale_ssim((image + s * grain).clamp(-1, 1), image).item() for s in (0, 0.1, 0.4, 1)]
    assert values[0] == pytest.approx(1)
    assert all(better > worse for better, worse in pairwise(values)), values


def test_ms_ssim_refuses_images_below_its_window_and_takes_the_smallest_allowed() -> None:
    with pytest.raises(ValueError, match=r"44 px or more, found 43x43"):
        registry.load("ms_ssim_64")(flat(0, 43), flat(0, 43))
    assert registry.load("ms_ssim_64")(flat(0, 44), flat(0, 44)).item() == pytest.approx(1)
