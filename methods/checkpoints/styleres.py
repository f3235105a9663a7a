"""StyleRes as its authors publish it: `load_styleres` reads its networks.

A file holds `e4e` (an encoder's state dict), `latent_avg` and `generator_smooth`, a StyleGAN2-ADA generator with the
networks in one of its blocks. `load_encoder` and `load_generator` read the others from the same file. Format:
hamzapehlivan/StyleRes@9c62ab7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from math import log2
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.checkpoints import assemble, describe, part, read_checkpoint, reading, tensors
from methods.feature_space.styleres_network import StyleResConfig, StyleResNetworks
from methods.generators.ada import STYLERES
from methods.generators.stylegan2 import Generator
from metrics.networks.irse import UNITS_50, WIDTHS

SIDE = 256  # of the images that e4e sees
UNUSED = "alignment.dconv3."  # in the files, and read by no code


def load_styleres(path: str | Path, generator: Generator) -> StyleResNetworks:
    """Published networks in eval mode, float32 (`.double()` works), frozen. Nothing in the file is run.

    generator: what they serve. Raises FileNotFoundError, or ValueError that names the file, what was found and the fix.
    """
    path = Path(path).expanduser()
    checkpoint = read_checkpoint(path)
    with reading(path, "StyleRes"):
        return _load(checkpoint, path, generator)


def _load(checkpoint: Any, path: Path, generator: Generator) -> StyleResNetworks:
    if not isinstance(checkpoint, dict) or not {"e4e", "generator_smooth"} <= set(checkpoint):
        raise ValueError(
            f"{path}: a StyleRes file holds e4e, latent_avg and generator_smooth; found {describe(checkpoint)}"
        )
    state = tensors(checkpoint["generator_smooth"], path, "generator_smooth")
    blocks = {match[1] for key in state if (match := re.match(rf"synthesis\.b(\d+)\.{STYLERES}", key))}
    if len(blocks) != 1:
        raise ValueError(
            f"{path}: its generator has {len(blocks)} blocks with networks of StyleRes (`synthesis.bN.{STYLERES}...`), "
            f"expected one; found {describe(state)}"
        )
    (side,) = blocks
    own = part(state, f"synthesis.b{side}.{STYLERES}")
    shape = _shape(int(side), own, path)
    e4e = tensors(checkpoint["e4e"], path, "e4e")
    first = re.compile(rf"input_layer\.|body\.({'|'.join(map(str, range(sum(shape.units))))})\.")
    own |= {f"encoder.{key}": value for key, value in e4e.items() if first.match(key)}
    used = {key: value for key, value in own.items() if not key.startswith(UNUSED)}
    networks = assemble(path, partial(StyleResNetworks, shape), used)
    shape.check(generator)
    return networks.to(memory_format=torch.channels_last)


def _shape(side: int, own: Mapping[str, Tensor], path: Path) -> StyleResConfig:
    """What networks the tensors are of; whether all of them fit is checked afterwards."""
    levels = log2(SIDE / side) if side else 0.0
    first = own.get("alignment.first_layer.weight")
    if levels not in range(1, len(WIDTHS) + 1) or first is None or first.ndim != 4:
        raise ValueError(f"{path}: no networks of StyleRes that are known: at {side} px, they begin {list(own)[:3]}")
    units, widths = UNITS_50[: int(levels)], WIDTHS[: int(levels)]
    return StyleResConfig(SIDE, first.shape[1] - widths[-1], first.shape[0], units, widths)
