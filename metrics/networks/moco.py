"""MoCo v2: features of images without faces (cars, churches, horses).

Reference: Chen et al., arXiv 2003.04297, moco_v2_800ep_pretrain.pth.tar of github.com/facebookresearch/moco, a
ResNet-50, as criteria/moco_loss.py of omertov/encoder4editing@99ea505 and eladrich/pixel2style2pixel@5cfff38 use it.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet50

from datasets import assets
from datasets.checkpoints import assemble, describe, part, read_checkpoint, tensors
from metrics.networks import IdentityNetwork

SIDE, FRAME = 224, 256
PREFIX = "encoder_q."  # the query's encoder; the file also has the momentum encoder


class MoCo(IdentityNetwork):
    """Features [N, 2048] of 224 px images."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = resnet50(weights=None)
        self.resnet.fc = nn.Identity()

    def crop(self, images: Tensor) -> Tensor:
        """Images [N, 3, S, S] -> [N, 3, 224, 224]: larger ones pooled to 256 px, then nearest pixel, as released."""
        if images.shape[-1] > FRAME:
            images = F.adaptive_avg_pool2d(images, (FRAME, FRAME))
        return F.interpolate(images, size=(SIDE, SIDE))

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, 224, 224] in [-1, 1], RGB (not ImageNet's scale, as in the released loss) -> unit vectors."""
        return F.normalize(self.resnet(crops), dim=1)


def load_moco(path: str | Path | None = None) -> MoCo:
    """MoCo with the trunk in `path` or the asset `moco`, without projection. Raises ValueError that names the file."""
    path = assets.file_of("moco", path)
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path}: expected state_dict in a file of MoCo, found {describe(checkpoint)}")
    state = part(tensors(checkpoint["state_dict"], path, "state_dict"), PREFIX)
    trunk = {f"resnet.{key}": value for key, value in state.items() if not key.startswith("fc.")}
    return assemble(path, MoCo, trunk)
