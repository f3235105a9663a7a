"""Tuned generators on disk: the changed weights minus the shared generator's, as safetensors.

PTI pickles the whole module for every image, which ties a file to a class path and to code. A delta is a plain
dictionary of tensors with the hash of the generator that it belongs to.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from methods.base import Weights
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator


def save_delta(path: Path, generator: Generator, weights: Weights) -> None:
    """Store one image's tuned weights as differences to `generator`."""
    base = dict(generator.named_parameters())
    deltas = {k: (v.detach().cpu() - base[k].detach().cpu()).contiguous() for k, v in weights.items()}
    save_file(deltas, path, metadata={"generator": fingerprint(generator)})


def load_delta(path: Path, generator: Generator) -> Weights:
    """Tuned weights from a delta. Raises ValueError when the file was made for another generator."""
    with safe_open(path, framework="pt") as handle:
        made_for = (handle.metadata() or {}).get("generator")
        if made_for != fingerprint(generator):
            raise ValueError(
                f"{path}: made for generator {str(made_for)[:12]}, this one is {fingerprint(generator)[:12]}"
            )
        deltas = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    base = dict(generator.named_parameters())
    return {k: (base[k].detach().cpu() + v).to(base[k]) for k, v in deltas.items()}
