"""The training data of the bundled generator and encoders: filtered, aligned samples of the DCGAN, with z.

Sample i of seed s is deterministic. A sample is accepted when O-Net detects a face before (p > 0.97) and after
alignment (p > 0.98), and the face is frontal (|nose offset| < 0.25 eye distances) and not dark (mean luminance of the
centre > 0.22).
Seeds from EVALUATION_SEED on are reserved for the held-out data set `digiface_gan`.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm

from datasets import alignment, assets, dcgan
from inversion_bench.files import atomic

VERSION = 1
CHUNK = 1000
EVALUATION_SEED = 1_000_000
RAW_BOX = (4, 2, 60, 64)  # position of the DCGAN's faces
ALIGNED_BOX = (8, 6, 56, 62)  # position of aligned faces


@dataclass(frozen=True)
class Draw:
    """A sample: aligned [64, 64, 3] uint8, its z [100], and why it was refused ("" if accepted)."""

    image: np.ndarray | None
    z: np.ndarray
    refused: str


def to_uint8(images: Tensor) -> np.ndarray:
    """[N, 3, H, W] in [-1, 1] -> uint8 [N, H, W, 3], rounded half up."""
    return (images.clamp(-1, 1) * 127.5 + 128).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


@torch.no_grad()
def draw_faces(seed: int, count: int, network: torch.nn.Module) -> list[Draw]:
    """Samples of one seed, aligned and filtered.

    Args:
        seed: of z.
        count: number of samples.
        network: the DCGAN, z [N, 100, 1, 1] -> [N, 3, 64, 64] in [-1, 1].
    """
    z = dcgan.draw_z(seed, count)
    raw = network(z[:, :, None, None])
    pixels = to_uint8(raw)
    faces = alignment.landmarks_in_boxes(raw, RAW_BOX)
    luminance = (raw[:, :, 16:48, 16:48].mean(dim=(1, 2, 3)) + 1) / 2
    refused: list[str] = []
    images: list[np.ndarray | None] = []
    for i, landmarks in enumerate(faces):
        reason = ""
        if landmarks.probability <= 0.97:
            reason = "no face"
        elif abs(landmarks.nose_offset) >= 0.25:
            reason = "looks aside"
        elif luminance[i] <= 0.22:
            reason = "dark"
        refused.append(reason)
        images.append(None if reason else np.asarray(alignment.align(Image.fromarray(pixels[i]), landmarks)))
    accepted = {i: image for i, image in enumerate(images) if image is not None}
    if accepted:
        batch = torch.from_numpy(np.stack(list(accepted.values()))).permute(0, 3, 1, 2).float() / 127.5 - 1
        for i, landmarks in zip(accepted, alignment.landmarks_in_boxes(batch, ALIGNED_BOX), strict=True):
            if landmarks.probability <= 0.98:
                refused[i] = "no face after alignment"
    return [Draw(images[i], z[i].numpy(), refused[i]) for i in range(count)]


def _chunk(seed: int) -> dict[str, Tensor]:
    torch.set_num_threads(1)
    accepted = [draw for draw in draw_faces(seed, CHUNK, dcgan.load_dcgan()) if not draw.refused]
    images = torch.from_numpy(np.stack([draw.image for draw in accepted if draw.image is not None]))
    return {"images": images, "z": torch.from_numpy(np.stack([draw.z for draw in accepted]))}


def training_faces(draws: int = 60_000, workers: int | None = None) -> Path:
    """A safetensors file with images [N, 64, 64, 3] uint8 and z [N, 100]; cached (making it takes minutes)."""
    chunks = -(-draws // CHUNK)
    name = f"training_faces-{alignment.RECIPE}-v{VERSION}-{chunks * CHUNK}"
    target = assets.cache_dir() / "datasets" / f"{name}.safetensors"
    assets.cache_folder(target.parent)
    with FileLock(f"{target}.lock"):
        if target.exists():
            return target
        assets.ensure("dcgan_digiface", quiet=False)
        workers = workers or os.cpu_count() or 1
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            parts = list(tqdm(pool.map(_chunk, range(chunks)), total=chunks, desc="drawing faces", unit="k"))
        tensors = {key: torch.cat([part[key] for part in parts]) for key in ("images", "z")}
        with atomic(target) as temporary:
            save_file(tensors, temporary)
    return target


def load_training_faces(draws: int = 60_000) -> tuple[Tensor, Tensor]:
    """images uint8 [N, 64, 64, 3] and their z [N, 100]."""
    stored = load_file(training_faces(draws))
    return stored["images"], stored["z"]
