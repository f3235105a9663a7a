"""StyleGAN2-ADA weights (NVlabs/stylegan2-ada-pytorch, d72cc7d) in the config-f layout: reshapes, no flips."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from methods.generators.layers import BINOMIAL
from methods.generators.stylegan2 import GeneratorConfig

STYLERES = "modify_feature_"  # networks of another method in a generator's block begin so
STYLERES_CLAMP = 256.0  # of the generators that hold them


def is_ada(state: dict[str, Tensor]) -> bool:
    """Whether a state dict has StyleGAN2-ADA's names."""
    return "synthesis.b4.const" in state


def config_from_ada(state: dict[str, Tensor], conv_clamp: float | None = None) -> GeneratorConfig:
    """Shape of the network behind a StyleGAN2-ADA state dict.

    Raises ValueError for conditional networks, for architectures other than skip and for StyleGAN3.
    """
    if not is_ada(state):
        raise ValueError(f"no StyleGAN2-ADA generator (no synthesis.b4.const); its first tensors are {list(state)[:4]}")
    if "mapping.embed.weight" in state:
        raise ValueError(
            f"conditional generator (c_dim {state['mapping.embed.weight'].shape[1]}): only unconditional ones are read"
        )
    sizes = sorted(int(m[1]) for k in state if (m := re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", k)))
    if any(f"synthesis.b{size}.torgb.weight" not in state for size in sizes):
        raise ValueError("a block has no torgb: only the skip architecture is read")
    images = state["synthesis.b4.torgb.weight"].shape[0] if "synthesis.b4.torgb.weight" in state else 3
    if images != 3:
        raise ValueError(f"its images have {images} channel{'s' * (images > 1)}; 3 (RGB) are read")
    layers = len([k for k in state if re.fullmatch(r"mapping\.fc\d+\.weight", k)])
    return GeneratorConfig(
        resolution=sizes[-1],
        channels=tuple(state[f"synthesis.b{size}.conv1.weight"].shape[0] for size in sizes),
        z_dim=state["mapping.fc0.weight"].shape[1],
        w_dim=state["mapping.fc0.weight"].shape[0],
        mapping_layers=layers,
        demod_eps="unscaled",
        conv_clamp=conv_clamp,
    )


def config_f_name(key: str) -> str | None:
    """Config-f name of a StyleGAN2-ADA tensor; None for filters, which the network makes itself, and for StyleRes."""
    if key.endswith("resample_filter") or f".{STYLERES}" in key:
        return None
    if key == "mapping.w_avg":
        return "latent_avg"
    if m := re.fullmatch(r"mapping\.fc(\d+)\.(weight|bias)", key):
        return f"style.{int(m[1]) + 1}.{m[2]}"
    if key == "synthesis.b4.const":
        return "input.input"
    m = re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)", key)
    if m is None:
        raise ValueError(f"{key!r} is not a tensor of a StyleGAN2-ADA generator")
    level = int(m[1]).bit_length() - 3  # 0 at 4 px
    if m[2] == "torgb":
        module = "to_rgb1" if level == 0 else f"to_rgbs.{level - 1}"
        names = {"weight": "conv.weight", "bias": "bias"}
    else:
        index = 2 * level - 2 + int(m[2] == "conv1")
        module = "conv1" if level == 0 else f"convs.{index}"
        names = {"weight": "conv.weight", "bias": "activate.bias", "noise_strength": "noise.weight"}
        if m[3] == "noise_const":
            return f"noises.noise_{0 if level == 0 else index + 1}"
    names |= {"affine.weight": "conv.modulation.weight", "affine.bias": "conv.modulation.bias"}
    if m[3] not in names:
        raise ValueError(f"{key!r} is not a tensor of a StyleGAN2-ADA generator")
    return f"{module}.{names[m[3]]}"


def check_filters(state: dict[str, Tensor]) -> None:
    """Raises ValueError where a file's resampling filter is another one than the network's."""
    taps = torch.tensor(BINOMIAL) / sum(BINOMIAL)
    for key, value in state.items():
        if key.endswith("resample_filter") and (
            value.shape != (4, 4) or not torch.allclose(value.float(), torch.outer(taps, taps), atol=1e-6)
        ):
            raise ValueError(f"{key} is another filter than the binomial [1, 3, 3, 1], which alone is read")


def from_ada(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A StyleGAN2-ADA state dict under config-f names and shapes. Raises ValueError for foreign tensors and filters."""
    check_filters(state)
    converted: dict[str, Tensor] = {}
    for key, value in state.items():
        name = config_f_name(key)
        if name is None:
            continue
        if name == "input.input" or name.endswith("conv.weight"):
            value = value[None]
        elif name.startswith("noises."):
            value = value[None, None]
        elif name.endswith("noise.weight"):
            value = value.reshape(1)
        elif name.startswith("to_rgb") and name.endswith(".bias") and "modulation" not in name:
            value = value.reshape(1, 3, 1, 1)
        converted[name] = value if torch.is_tensor(value) else torch.as_tensor(value)
    return converted
