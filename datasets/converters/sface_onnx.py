"""SFace's block-quantised ONNX graph of OpenCV Zoo -> float32 safetensors with the names of metrics.networks.sface.

Reference: Zhong et al., arXiv 2205.12010; opencv/opencv_zoo, face_recognition_sface_2021dec_int8bq.onnx
(Apache-2.0). Each int8 weight is followed by DequantizeLinear in blocks along one axis and, for convolutions, by
Reshape; both are folded into the tensor. The rest of the graph is the torch module.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

from datasets.assets import sha256
from inversion_bench.files import atomic

MEMBER_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var"}


def dequantise(values: np.ndarray, scales: np.ndarray, zeros: np.ndarray, block: int, axis: int) -> np.ndarray:
    """(values - zero) x scale with one scale for every `block` values along `axis`, float32."""
    length = values.shape[axis]
    scale, zero = (np.repeat(part, block, axis).take(range(length), axis) for part in (scales, zeros))
    return (values.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)


def float_tensors(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """All initialisers, and the folded weights under the names that convolutions and the last layer read."""
    tensors = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            options = {item.name: item.i for item in node.attribute}
            values, scales, zeros = (tensors[name] for name in node.input)
            tensors[node.output[0]] = dequantise(values, scales, zeros, options["block_size"], options["axis"])
        elif node.op_type == "Reshape":
            tensors[node.output[0]] = tensors[node.input[0]].reshape(tensors[node.input[1]])
    return tensors


def sface(files: list[Path], destination: Path) -> None:
    """Raises ValueError for another file than the supported one."""
    digest = sha256(files[0])
    if digest != MEMBER_SHA256:
        raise ValueError(f"{files[0].name} has SHA-256 {digest}, expected {MEMBER_SHA256}")
    graph = onnx.load(files[0]).graph
    tensors = float_tensors(graph)
    state: dict[str, np.ndarray] = {}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for i, node in enumerate(convolutions):
        name = node.output[0].removesuffix("_conv2d")
        state[f"layers.{i}.conv.weight"] = tensors[node.input[1]]
        state[f"layers.{i}.act.weight"] = tensors[f"{name}_relu_gamma"].reshape(-1)
        state |= {f"layers.{i}.norm.{ours}": tensors[f"{name}_batchnorm_{k}"] for k, ours in _NORM.items()}
    state |= {f"norm.{ours}": tensors[f"bn1_{k}"] for k, ours in _NORM.items()}
    state |= {f"output_norm.{ours}": tensors[f"fc1_{k}"] for k, ours in _NORM.items()}
    state["linear.weight"] = tensors["pre_fc1_weight_dequantized"]
    state["linear.bias"] = tensors["pre_fc1_bias_dequantized"]
    with atomic(destination) as temporary:
        save_file({key: np.ascontiguousarray(value, np.float32) for key, value in state.items()}, temporary)
