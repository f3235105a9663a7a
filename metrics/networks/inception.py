"""The Inception network of FID and KID, by torch-fidelity, without its download."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from datasets import assets
from datasets.checkpoints import read_checkpoint, tensors

DIM = 2048


class Inception(nn.Module):
    """Features [N, 2048] of images [N, 3, H, W] in [-1, 1], which are rounded to 8 bits."""

    def __init__(self, extractor: nn.Module):
        super().__init__()
        self.extractor = extractor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        features: Tensor = self.extractor(pixels)[0]
        return features


def load_inception(path: str | Path | None = None) -> Inception:
    """torch-fidelity's InceptionV3 with the state dict in `path` or the asset `inception_fid`, frozen.

    Raises ValueError that names the file, and ModuleNotFoundError without torch-fidelity (`pip install -e .[fid]`).
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = assets.file_of("inception_fid", path)
    state = tensors(read_checkpoint(path), path)
    with tempfile.TemporaryDirectory() as folder:
        # torch-fidelity unpickles without restriction: give it a new file of the tensors only.
        clean = Path(folder) / "inception.pth"
        torch.save(state, clean)
        try:
            extractor = FeatureExtractorInceptionV3("inception-v3-compat", [str(DIM)], str(clean))
        except RuntimeError as error:
            raise ValueError(
                f"{path}: not torch-fidelity's Inception; expected weights-inception-2015-12-05-6726825d.pth ({error})"
            ) from error
    broken = [key for key, value in extractor.state_dict().items() if not bool(value.isfinite().all())]
    if broken:
        raise ValueError(f"{path}: is not finite in {', '.join(broken[:4])} ({len(broken)})")
    return Inception(extractor)
