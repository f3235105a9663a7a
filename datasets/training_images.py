"""What networks are trained on, as one tensor: a bundled set, any data set of the registry, or a folder of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from datasets import celeba, folder, registry, training_faces
from datasets.base import Manifest

# Names that differ from the data set of that name: the evaluated images stay out of a training.
TRAINED: dict[str, Callable[[int, int], Tensor]] = {
    "celeba": lambda resolution, _: celeba.load_training_photographs(resolution),
    "digiface_gan": lambda _, draws: training_faces.load_training_faces(draws)[0],
}


def load(data: str, resolution: int, align: str = "ffhq", draws: int = 48_000) -> Tensor:
    """Training images, uint8 [N, resolution, resolution, 3].

    Args:
        data: `celeba` (its training photographs), `digiface_gan` (draws of that GAN), another data set's name, or a
            folder of images.
        resolution: in pixels.
        align: of a folder: `ffhq` (faces are found and cut to FFHQ's frame) or `none` (square images as they are).
        draws: of digiface_gan, before the filter.

    Raises:
        ValueError: an unknown name, a folder without images, or images of another size.
    """
    if data in TRAINED:
        images = TRAINED[data](resolution, draws)
    else:
        manifest = _manifest(data, resolution, align)
        images = ((manifest.images() + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous()
    if not len(images):
        raise ValueError(f"data={data}: none of its images can be used; `align` is {align!r}")
    if images.shape[1] != resolution:
        raise ValueError(f"data={data}: images of {images.shape[1]} px, expected {resolution}")
    return images


def _manifest(data: str, resolution: int, align: str) -> Manifest:
    if data in registry.DATASETS and data not in registry.SOURCES:
        manifest = registry.load(data)
        if manifest.resolution != resolution:
            manifest = registry.load(data, resolution=resolution)
        return manifest
    if not Path(data).expanduser().is_dir():
        known = sorted({*TRAINED, *registry.names()} - set(registry.SOURCES))
        raise ValueError(f"data={data}: neither a folder nor one of {', '.join(known)}")
    return folder.build(data, align, resolution)
