"""Networks of the official shapes with random weights, and inputs for them: what speed is measured on without files."""

from __future__ import annotations

import warnings
from dataclasses import replace

import torch
from torch import Tensor

from methods.base import Inversion
from methods.generators.stylegan2 import Generator, official_config
from metrics.networks.lpips import Lpips


def random_generator(resolution: int, width: int = 1) -> Generator:
    """Config-f of random weights, biases and noise strengths; channels are divided by `width`."""
    config = official_config(resolution)
    torch.manual_seed(0)
    generator = Generator(replace(config, channels=tuple(c // width for c in config.channels)))
    with torch.no_grad():
        for name, value in generator.named_parameters():
            if name.endswith("bias") or ".noise." in name:
                value.add_(0.1 * torch.randn_like(value))
        generator.latent_avg.copy_(generator.style(torch.randn(1000, generator.z_dim)).mean(dim=0))
    return generator.eval().requires_grad_(False)


def random_lpips(net: str) -> Lpips:
    """LPIPS of random weights, where the real ones are absent. net: "alex" or "vgg"."""
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):  # torchvision's own initialisation takes seconds
        warnings.simplefilter("ignore")
        module = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True, verbose=False)
    module = module.to_empty(device="cpu")
    module.scaling_layer = lpips.ScalingLayer()
    torch.manual_seed(0)
    for value in module.parameters():
        fan_in = value[0].numel()
        value.data = torch.randn(value.shape) * (2 / fan_in) ** 0.5 if value.ndim > 1 else torch.zeros(value.shape)
    for head in module.lins:
        head.model[-1].weight.data.abs_()
    return Lpips(module)


@torch.no_grad()
def inputs(generator: Generator, count: int) -> tuple[Tensor, Inversion]:
    """Targets [N, 3, R, R] with details that codes cannot make, and codes in W to start from, on its device."""
    stream = torch.Generator().manual_seed(1)
    z = torch.randn(2 * count, generator.z_dim, generator=stream).to(generator.latent_avg)
    codes = generator.mapping(z, truncation=0.7).contiguous()
    targets = torch.cat([generator.synthesis(code[None]) for code in codes[count:]])
    details = torch.randn(targets.shape, generator=stream).to(targets)
    targets = (targets / (3 * targets.std()) + 0.05 * details).clamp(-1, 1)
    ids, steps = tuple(f"synthetic/{i}" for i in range(count)), torch.zeros(count, dtype=torch.long)
    return targets, Inversion(ids, codes[:count], "W", targets, steps)
