"""Weights of face-api (manifest and one buffer of bytes) -> safetensors, still quantised to eight bits.

Reference: npm package @vladmandic/face-api 1.7.15 (MIT), `model/*_model-weights_manifest.json` and `.bin`. A
quantised weight is byte x scale + min; both numbers are stored as `<name>.range`. Filters keep TensorFlow's order
(height, width, in, out).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from inversion_bench.files import atomic


def face_api(files: list[Path], destination: Path) -> None:
    """`files`: the manifest and its buffer, in any order. Raises ValueError if the buffer has another length."""
    manifest, buffer = sorted(files, key=lambda file: file.suffix == ".bin")
    data = buffer.read_bytes()
    tensors: dict[str, np.ndarray] = {}
    offset = 0
    for group in json.loads(manifest.read_text(encoding="utf-8")):
        for entry in group["weights"]:
            packing = entry.get("quantization")
            kind = np.dtype(packing["dtype"] if packing else entry["dtype"]).newbyteorder("<")
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, kind, count, offset)
            offset += values.nbytes
            tensors[entry["name"]] = values.reshape(entry["shape"]).copy()
            if packing:
                tensors[f"{entry['name']}.range"] = np.array([packing["scale"], packing["min"]], np.float64)
    if offset != len(data):
        raise ValueError(f"{buffer}: holds {len(data)} bytes, its manifest describes {offset}")
    with atomic(destination) as temporary:
        save_file(tensors, temporary, {"source": "npm @vladmandic/face-api 1.7.15, MIT"})
