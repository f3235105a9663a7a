"""The hash by which files and stored results know the generator that they belong to."""

from __future__ import annotations

import hashlib

from methods.generators.stylegan2 import Generator


def fingerprint(generator: Generator) -> str:
    """SHA-256 over names, shapes and float32 values of a generator's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
