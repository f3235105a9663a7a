"""What trainings are validated by, and the contact sheets that they write."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from datasets.training_faces import to_uint8
from methods.features import mean_square, perceptual


@torch.no_grad()
def validation_metrics(images: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """MSE and LPIPS (AlexNet) of images [N, 3, R, R], means over the batch."""
    return {
        "mse": mean_square(images, targets).mean(),
        "lpips": perceptual("lpips_alex").to(images)(images, targets).mean(),
    }


def save_sheet(images: Tensor, columns: int, path: Path) -> None:
    """Images [N, 3, R, R], clamped to [-1, 1], as a contact sheet with so many columns."""
    sheet = make_grid(images.clamp(-1, 1).cpu(), nrow=columns, padding=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_uint8(sheet[None])[0]).save(path)


def save_comparison(targets: Tensor, images: Tensor, path: Path) -> None:
    """Targets over reconstructions."""
    save_sheet(torch.cat([targets, images]), len(targets), path)
