"""face-api's small networks of a face in a box: 68 landmarks and seven expressions.

Reference: justadudewhohacks/face-api.js and vladmandic/face-api 1.7.15 (MIT): four dense blocks of separable
convolutions with additive shortcuts, 112 px, minus the means (122.782, 117.001, 104.298), divided by 255, average
over 7 x 7, one linear layer. Weights: datasets/converters/face_api.py, stored in `weights/`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

FOLDER = Path(__file__).parent / "weights"
SIDE = 112
MEANS = (122.782, 117.001, 104.298)
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
WIDTHS = (3, 32, 64, 128, 256)


class _Convolution(nn.Module):
    """3 x 3, plain or separable, with TensorFlow's SAME padding: at stride 2 only below and to the right."""

    def __init__(self, inputs: int, outputs: int, stride: int, separable: bool):
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False) if separable else nn.Identity()
        self.pointwise = nn.Conv2d(inputs, outputs, 1) if separable else nn.Conv2d(inputs, outputs, 3, stride)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, 1, 0, 1) if self.stride == 2 else (1, 1, 1, 1))
        return self.pointwise(self.depthwise(padded))


class _Block(nn.Module):
    """Four convolutions; the input of each, and of the next block, is the sum of all earlier outputs."""

    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [_Convolution(inputs, outputs, 2, not first), *(_Convolution(outputs, outputs, 1, True) for _ in range(3))]
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.convolutions
        x = total = F.relu(first(x))
        for convolution in others:
            total = total + convolution(x)
            x = F.relu(total)
        return x


class FaceApi(nn.Module):
    """Boxes of faces [N, 3, H, W] in [-1, 1] -> [N, outputs]."""

    means: Tensor

    def __init__(self, outputs: int):
        super().__init__()
        self.blocks = nn.Sequential(*(_Block(WIDTHS[i], WIDTHS[i + 1], i == 0) for i in range(4)))
        self.linear = nn.Linear(WIDTHS[-1], outputs)
        self.register_buffer("means", torch.tensor(MEANS).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, boxes: Tensor) -> Tensor:
        x = F.interpolate(boxes, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        x = self.blocks(((x + 1) * 127.5 - self.means) / 255)
        return self.linear(F.avg_pool2d(x, 7).flatten(1))


@cache
def expression_network() -> FaceApi:
    """Logits of EXPRESSIONS."""
    return _load("face_expression", len(EXPRESSIONS))


@cache
def landmark_network() -> FaceApi:
    """x and y of 68 points in turn, as fractions of the box's side, in the order of iBUG's 300-W."""
    return _load("face_landmark_68", 136)


def _load(name: str, outputs: int) -> FaceApi:
    stored = load_file(FOLDER / f"{name}.safetensors")

    def values(key: str) -> Tensor:
        if f"{key}.range" not in stored:
            return stored[key]
        scale, least = stored[f"{key}.range"]
        return (stored[key].double() * scale + least).float()

    network = FaceApi(outputs)
    state = {"linear.weight": values("fc/weights").T, "linear.bias": values("fc/bias")}
    for i in range(4):
        for j in range(4):
            theirs, ours = f"dense{i}/conv{j}", f"blocks.{i}.convolutions.{j}"
            state[f"{ours}.pointwise.bias"] = values(f"{theirs}/bias")
            if i == j == 0:
                state[f"{ours}.pointwise.weight"] = values(f"{theirs}/filters").permute(3, 2, 0, 1)
            else:
                state[f"{ours}.depthwise.weight"] = values(f"{theirs}/depthwise_filter").permute(2, 3, 0, 1)
                state[f"{ours}.pointwise.weight"] = values(f"{theirs}/pointwise_filter").permute(3, 2, 0, 1)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
