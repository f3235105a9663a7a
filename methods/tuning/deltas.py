"""Tuned generators on disk: the changed weights minus the shared generator's, as safetensors.

PTI pickles the whole module for every image, which ties a file to a class path and to code. A delta is a plain
dictionary of tensors with the hash of the generator that it belongs to.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from methods.base import Weights
from methods.generators.stylegan2 import Generator


def fingerprint(generator: Generator) -> str:
    """SHA-256 over names, shapes and float32 values of a generator's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


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


def delta_norm(generator: Generator, weights: Weights) -> float:
    """Euclidean length of the change over all tuned weights."""
    base = dict(generator.named_parameters())
    return float(torch.stack([(v - base[k]).detach().double().square().sum() for k, v in weights.items()]).sum().sqrt())
