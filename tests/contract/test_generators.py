"""What every generator keeps that the suite carries: shapes, truncation, noise, batches, files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from methods.generators import Generator, load_generator
from methods.generators.readers import bundled, save_generator


@pytest.fixture(scope="module", params=["toy", *bundled()])
def generator(request: pytest.FixtureRequest, device: torch.device) -> Generator:
    torch.set_num_threads(1)
    return load_generator(request.param).to(device)


@pytest.fixture(scope="module")
def z(generator: Generator, device: torch.device) -> Tensor:
    return torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(0)).to(device)


@torch.no_grad()
def test_images_and_codes_have_the_stated_shapes(generator: Generator, z: Tensor) -> None:
    codes = generator.mapping(z)
    images = generator.synthesis(codes)
    assert codes.shape == (3, generator.num_ws, generator.w_dim) and codes.device == z.device
    assert images.shape == (3, 3, generator.resolution, generator.resolution) and bool(images.isfinite().all())
    assert len(generator.noise_buffers()) == generator.num_ws - 1
    assert not generator.training and not any(p.requires_grad for p in generator.parameters())
    with pytest.raises(ValueError, match=rf"w_plus must be \[N, {generator.num_ws}, "):
        generator.synthesis(codes[:, 1:])
    with pytest.raises(ValueError, match="z must be"):
        generator.mapping(z[:, 1:])


@torch.no_grad()
def test_truncation_goes_to_the_mean(generator: Generator, z: Tensor) -> None:
    mean = generator.w_mean.expand(3, generator.num_ws, -1)
    torch.testing.assert_close(generator.mapping(z, truncation=0.0), mean)
    part = generator.mapping(z, truncation=0.0, cutoff=2)
    torch.testing.assert_close(part[:, :2], mean[:, :2])
    assert torch.equal(part[:, 2:], generator.mapping(z)[:, 2:])


@torch.no_grad()
def test_an_image_does_not_depend_on_its_batch(generator: Generator, z: Tensor) -> None:
    together = generator(z)
    alone = torch.cat([generator(z[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


@torch.no_grad()
def test_noise_is_fixed_absent_drawn_or_given(generator: Generator, z: Tensor) -> None:
    generator, codes = deepcopy(generator), generator.mapping(z)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise.weight"):
            parameter.fill_(0.3)  # the toy generator has none
    fixed, absent = generator.synthesis(codes), generator.synthesis(codes, "none")
    last_digits = 1e-5 * fixed.is_cuda  # cuDNN's sums come in another order each time
    torch.testing.assert_close(generator.synthesis(codes), fixed, rtol=0, atol=last_digits)
    torch.testing.assert_close(generator.synthesis(codes, "none"), absent, rtol=0, atol=last_digits)
    assert float((fixed - absent).abs().max()) > 1e-3
    assert not torch.equal(generator.synthesis(codes, "random"), generator.synthesis(codes, "random"))
    torch.testing.assert_close(generator.synthesis(codes, generator.noise_buffers()), fixed)
    zeros = [torch.zeros_like(level) for level in generator.noise_buffers()]
    torch.testing.assert_close(generator.synthesis(codes, zeros), absent)
    with pytest.raises(ValueError, match=r"expected .* noise maps, found 1"):
        generator.synthesis(codes, zeros[:1])


@torch.no_grad()
def test_a_saved_generator_draws_the_same(generator: Generator, z: Tensor, tmp_path: Path) -> None:
    save_generator(generator, tmp_path / "g.safetensors")
    loaded = load_generator(tmp_path / "g.safetensors")
    assert loaded.config == generator.config
    torch.testing.assert_close(loaded.to(z.device)(z), generator(z), rtol=0, atol=1e-5)
