"""Three published attribute predictors: HopeNet (pose), DEX (age), AnyCost GAN's 40 attributes of CelebA.

Users supply their weights; as none was available here, key inventories and recipes follow the released code, and no
value of a real face has been verified. References: natanielruiz/deep-head-pose (code/hopenet.py,
hopenet_robust_alpha1.pkl); Rothe et al., DEX, as in yuval-alaluf/SAM (models/dex_vgg.py, dex_age_classifier.pth);
mit-han-lab/anycost-gan (attribute_predictor.pt). All three as yuval-alaluf/stylegan3-editing uses them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet50, vgg16

from datasets import assets
from datasets.checkpoints import assemble, read_checkpoint, tensors
from datasets.images import resized

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, for HopeNet
BINS, DEGREES, FIRST = 66, 3.0, -99.0  # HopeNet: bins of 3 degrees from -99 on
AGES = 101  # DEX: 0 to 100 years
CELEBA = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip


class HopeNet(nn.Module):
    """Images [N, 3, S, S] in [-1, 1] -> yaw, pitch and roll [N, 3] in degrees."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = resnet50(weights=None)
        self.trunk.fc = nn.Identity()
        self.heads = nn.ModuleDict({f"fc_{angle}": nn.Linear(2048, BINS) for angle in ("yaw", "pitch", "roll")})

    def forward(self, images: Tensor) -> Tensor:
        mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        features = self.trunk(((resized(images, 224) + 1) / 2 - mean) / std)
        bins = torch.arange(BINS).to(features)
        angles = [head(features).softmax(dim=1) @ bins * DEGREES + FIRST for head in self.heads.values()]
        return torch.stack(angles, dim=1)


class Dex(nn.Module):
    """Images [N, 3, S, S] in [-1, 1], RGB -> years [N]: the expectation over 101 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = vgg16(weights=None)
        self.trunk.classifier[6] = nn.Linear(4096, AGES)

    def forward(self, images: Tensor) -> Tensor:
        scores = self.trunk(resized(images, 224))
        return scores.softmax(dim=1) @ torch.arange(AGES).to(scores)


class CelebAttributes(nn.Module):
    """Images [N, 3, S, S] in [-1, 1] -> log odds [N, 40] of CELEBA's attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = resnet50(weights=None)
        self.trunk.fc = nn.Linear(2048, 2 * len(CELEBA))

    def forward(self, images: Tensor) -> Tensor:
        pairs = self.trunk(resized(images, 256)).reshape(len(images), len(CELEBA), 2)
        return pairs[..., 1] - pairs[..., 0]


def load_hopenet(path: str | Path | None = None) -> HopeNet:
    """HopeNet with the state dict in `path` or the asset `hopenet`. Raises ValueError that names the file."""
    path = assets.file_of("hopenet", path)
    state = {
        (f"heads.{key}" if key.startswith(("fc_yaw", "fc_pitch", "fc_roll")) else f"trunk.{key}"): value
        for key, value in _state(path).items()
        if not key.startswith("fc_finetune")  # unused, from the authors' experiments
    }
    return assemble(path, HopeNet, state)


def load_dex(path: str | Path | None = None) -> Dex:
    """DEX with the weights in `path` or the asset `dex`. Raises ValueError that names the file."""
    path = assets.file_of("dex", path)
    with torch.device("meta"):
        network = Dex()
    # The released names conv1_1 ... fc8-101 in the order in which they are applied, which is torchvision's.
    layers = [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    names = [f"conv{block}_{n}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, count + 1)]
    known = dict(zip([*names, "fc6", "fc7", "fc8_101"], layers, strict=True))
    state = {}
    for key, value in _state(path).items():
        layer, _, kind = key.replace("-", "_").rpartition(".")
        state[f"{known.get(layer, layer)}.{kind}"] = value
    return assemble(path, Dex, state)


def load_celeb_attributes(path: str | Path | None = None) -> CelebAttributes:
    """AnyCost GAN's predictor with the weights in `path` or the asset `celeb_attributes`; raises as load_dex."""
    path = assets.file_of("celeb_attributes", path)
    return assemble(path, CelebAttributes, {f"trunk.{key}": value for key, value in _state(path).items()})


def _state(path: Path) -> dict[str, Tensor]:
    """A state dict, or the one under `state_dict`."""
    checkpoint = read_checkpoint(path)
    return tensors(checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else checkpoint, path)
