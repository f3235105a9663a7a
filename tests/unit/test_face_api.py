"""face-api's networks: their converter, their padding, and landmarks at known places."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from datasets.converters.face_api import face_api
from metrics.networks.face_api import _Convolution, expression_network, landmark_network
from tests.drawn_faces import drawn_face

PLAIN = {"name": "fc/bias", "shape": [2], "dtype": "float32"}
PACKED = {
    "name": "fc/weights",
    "shape": [2, 2],
    "dtype": "float32",
    "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
}


def packed(folder: Path, extra: bytes = b"") -> list[Path]:
    manifest, buffer = folder / "m.json", folder / "m.bin"
    manifest.write_text(json.dumps([{"weights": [PLAIN, PACKED]}]))
    buffer.write_bytes(np.array([1.5, -2.0], "<f4").tobytes() + bytes([0, 1, 2, 255]) + extra)
    return [buffer, manifest]


def test_the_converter_keeps_bytes_and_their_range(tmp_path: Path) -> None:
    face_api(packed(tmp_path), tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")
    assert found["fc/bias"].tolist() == [1.5, -2.0]
    assert found["fc/weights"].tolist() == [[0, 1], [2, 255]]
    assert found["fc/weights.range"].tolist() == [0.5, -1.0]


def test_a_buffer_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"m\.bin: holds 13 bytes, its manifest describes 12"):
        face_api(packed(tmp_path, b"x"), tmp_path / "out.safetensors")


def test_stride_two_pads_below_and_to_the_right_as_tensorflow_does() -> None:
    convolution = _Convolution(1, 1, 2, separable=False)
    assert isinstance(convolution.pointwise, nn.Conv2d)
    with torch.no_grad():
        convolution.pointwise.weight.fill_(0)
        convolution.pointwise.weight[0, 0, 0, 0] = 1  # the window's first pixel
        assert convolution.pointwise.bias is not None
        convolution.pointwise.bias.zero_()
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert convolution(picture).flatten().tolist() == [0, 2, 8, 10]


def test_landmarks_of_a_drawn_face_are_where_it_was_drawn() -> None:
    box = drawn_face()[None, :, 12:60, 8:56]  # 48 px
    points = landmark_network()(box).reshape(68, 2) * 48 + torch.tensor([8.0, 12.0])
    for part, wanted in ((slice(36, 42), (21, 24)), (slice(42, 48), (43, 24)), (slice(48, 68), (32, 49))):
        assert float((points[part].mean(dim=0) - torch.tensor(wanted)).norm()) < 3  # pixels of 64


def test_there_are_seven_expressions() -> None:
    assert expression_network()(torch.zeros(2, 3, 48, 48)).shape == (2, 7)
