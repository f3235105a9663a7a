"""Tuned generators on disk: the changed weights minus the shared generator's, as safetensors.

PTI pickles the whole module for every image, which ties a file to a class path and to code. A delta is a plain
dictionary of tensors with the hash of the generator that it belongs to.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from datasets.checkpoints import describe, read_safetensors
from inversion_bench.files import atomic
from methods.generators.fingerprint import fingerprint
from methods.generators.stylegan2 import Generator
from methods.synthesis import Weights


def save_delta(path: Path, generator: Generator, weights: Weights) -> None:
    """Store one image's tuned weights as differences to `generator`."""
    base = dict(generator.named_parameters())
    deltas = {k: (v.detach().cpu() - base[k].detach().cpu()).contiguous() for k, v in weights.items()}
    with atomic(path) as temporary:
        save_file(deltas, temporary, metadata={"generator": fingerprint(generator)})


def load_delta(path: Path, generator: Generator) -> Weights:
    """Tuned weights from a delta. Raises ValueError when the file is none, or was made for another generator."""
    deltas, facts = read_safetensors(path)
    if facts.get("generator") != fingerprint(generator):
        raise ValueError(
            f"{path}: made for generator {str(facts.get('generator'))[:12]}, this one is {fingerprint(generator)[:12]}"
        )
    base = dict(generator.named_parameters())
    if wrong := [key for key, value in deltas.items() if key not in base or value.shape != base[key].shape]:
        raise ValueError(f"{path}: no changes of this generator's weights ({wrong[0]}); found {describe(deltas)}")
    return {k: (base[k].detach().cpu() + v).to(base[k]) for k, v in deltas.items()}
