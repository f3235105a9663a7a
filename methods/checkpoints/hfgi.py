"""HFGI as its authors publish it: `load_hfgi` reads its two networks.

A file holds `state_dict` (`residue.*`, `grid_align.*`, e4e's encoder as `encoder.*`, the generator as `decoder.*`),
perhaps `latent_avg`, and `opts`. `load_encoder` and `load_generator` read the others from the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from datasets.checkpoints import assemble, describe, part, read_checkpoint, reading, tensors
from methods.checkpoints.hyperstyle import check_decoder
from methods.feature_space.hfgi_network import HfgiConfig, HfgiNetworks
from methods.generators.stylegan2 import Generator

NETWORKS, OTHERS = ("residue.", "grid_align."), ("encoder.", "decoder.")


def load_hfgi(path: str | Path, generator: Generator) -> HfgiNetworks:
    """Published networks in eval mode, float32 (`.double()` works), frozen. Nothing in the file is run.

    generator: what they serve; another one than the file's decoder is a warning. Raises FileNotFoundError, or
    ValueError that names the file, what was found and the fix.
    """
    path = Path(path).expanduser()
    checkpoint = read_checkpoint(path)
    with reading(path, "HFGI"):
        return _load(checkpoint, path, generator)


def _load(checkpoint: Any, path: Path, generator: Generator) -> HfgiNetworks:
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path}: an HFGI file holds state_dict, latent_avg and opts; found {describe(checkpoint)}")
    state = tensors(checkpoint["state_dict"], path, "state_dict")
    own = {key: value for key, value in state.items() if key.startswith(NETWORKS)}
    if not own:
        raise ValueError(f"{path}: holds no tensor below `residue.` or `grid_align.`; found {describe(state)}")
    extra = [key for key in state if not key.startswith((*NETWORKS, *OTHERS))]
    if extra:
        raise ValueError(f"{path}: has unexpected {', '.join(extra[:4])} ({len(extra)})")
    shape = HfgiConfig()
    network = assemble(path, lambda: HfgiNetworks(shape), own)
    shape.check(generator)
    if decoder := part(state, "decoder."):
        check_decoder(decoder, generator, path)
    return network.to(memory_format=torch.channels_last)
