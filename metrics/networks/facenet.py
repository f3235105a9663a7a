"""FaceNet (InceptionResnetV1) by facenet-pytorch, without its download.

Reference: Schroff et al., arXiv 1503.03832; timesler/facenet-pytorch 2.5.3, weights 20180402-114759-vggface2.pt.
"""

from __future__ import annotations

from pathlib import Path

from facenet_pytorch import InceptionResnetV1
from torch import Tensor
from torch.nn import functional as F

from datasets import assets
from datasets.checkpoints import assemble, read_checkpoint, tensors
from metrics.networks import IdentityNetwork

SIDE = 160


class FaceNet(IdentityNetwork):
    """Embeddings [N, 512] of 160 px faces."""

    def __init__(self) -> None:
        super().__init__()
        self.module = InceptionResnetV1(pretrained=None)

    def crop(self, images: Tensor) -> Tensor:
        """The full frame [N, 3, S, S], resized to [N, 3, 160, 160]."""
        return F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, 160, 160] in [-1, 1] -> unit vectors [N, 512]."""
        return self.module(crops * (127.5 / 128))  # (x - 127.5) / 128 of values in 0..255


def load_facenet(path: str | Path | None = None) -> FaceNet:
    """FaceNet with the state dict in `path` or the asset `facenet`; without the classifier.

    Raises ValueError when the file does not hold this network's tensors.
    """
    path = assets.file_of("facenet", path)
    state = tensors(read_checkpoint(path), path)
    # The classifier has 8,631 people of VGGFace2 or 10,575 of CASIA-WebFace.
    trunk = {f"module.{key}": value for key, value in state.items() if not key.startswith("logits.")}
    try:
        return assemble(path, FaceNet, trunk)
    except ValueError as error:
        raise ValueError(
            f"{path}: not the weights of facenet-pytorch's InceptionResnetV1; expected 20180402-114759-vggface2.pt "
            f"({error})"
        ) from error
