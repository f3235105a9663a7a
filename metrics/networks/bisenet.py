"""BiSeNet for face parsing: 19 classes of a face, on a ResNet18.

Reference: Yu et al., "BiSeNet: Bilateral segmentation network for real-time semantic segmentation", arXiv
1808.00897; zllrunning/face-parsing.PyTorch at d2e684c (MIT), weights 79999_iter.pth. As in that code, and unlike in the
paper, the ResNet's features at 1/8 resolution replace the spatial path.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import assets
from datasets.checkpoints import assemble, read_checkpoint, tensors

SIDE = 512
CLASSES = 19
# 0 background, 6 glasses, 9 ear-ring, 14 neck, 15 necklace, 16 cloth, 18 hat
FACE = (1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13)  # skin, brows, eyes, ears, nose, mouth, lips
HAIR = (17,)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of values in [0, 1]


class ConvNormReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Head(nn.Module):
    """Features -> class scores at the features' size."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.conv = ConvNormReLU(inputs, width)
        self.conv_out = nn.Conv2d(width, CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class AttentionRefinement(nn.Module):
    """Channel attention from global means (the paper's ARM)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = ConvNormReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        means = features.mean(dim=(2, 3), keepdim=True)
        return features * torch.sigmoid(self.bn_atten(self.conv_atten(means)))


class ContextPath(nn.Module):
    """Features of the ResNet at 1/8, and refined ones at 1/8 and 1/16."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18  # slow to import, and seldom needed

        self.resnet = resnet18(weights=None)
        del self.resnet.fc
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvNormReLU(128, 128)
        self.conv_head16 = ConvNormReLU(128, 128)
        self.conv_avg = ConvNormReLU(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        eighth = net.layer2(net.layer1(x))
        sixteenth = net.layer3(eighth)
        last = net.layer4(sixteenth)
        context = self.arm32(last) + self.conv_avg(last.mean(dim=(2, 3), keepdim=True))
        context16 = self.conv_head32(F.interpolate(context, size=sixteenth.shape[-2:], mode="nearest"))
        context = self.arm16(sixteenth) + context16
        context8 = self.conv_head16(F.interpolate(context, size=eighth.shape[-2:], mode="nearest"))
        return eighth, context8, context16


class FeatureFusion(nn.Module):
    """Two feature maps fused into one, with residual channel attention (the FFM)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convblk = ConvNormReLU(inputs, outputs, 1)
        self.conv1 = nn.Conv2d(outputs, outputs // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs // 4, outputs, 1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        features = self.convblk(torch.cat([a, b], dim=1))
        means = features.mean(dim=(2, 3), keepdim=True)
        return features + features * torch.sigmoid(self.conv2(F.relu(self.conv1(means))))


class BiSeNet(nn.Module):
    """Class scores [N, 19, H, W] of three heads; the first is the result, the others are for auxiliary losses."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion(256, 256)
        self.conv_out = Head(256, 256)
        self.conv_out16 = Head(128, 64)
        self.conv_out32 = Head(128, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [N, 3, H, W], normalised by MEAN and STD."""
        eighth, context8, context16 = self.cp(x)
        scores = self.conv_out(self.ffm(eighth, context8)), self.conv_out16(context8), self.conv_out32(context16)
        size = x.shape[-2:]
        first, second, third = (F.interpolate(s, size=size, mode="bilinear", align_corners=True) for s in scores)
        return first, second, third

    def logits(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [-1, 1] -> scores [N, 19, H, W] of the first head, at the images' own size."""
        mean, std = (torch.tensor(values).view(1, 3, 1, 1).to(images) for values in (MEAN, STD))
        return self(((images + 1) / 2 - mean) / std)[0]

    def parse(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [-1, 1] -> classes [N, 512, 512], integers in 0..18."""
        x = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        return self.logits(x).argmax(dim=1)


def load_bisenet(path: str | Path | None = None) -> BiSeNet:
    """BiSeNet with the state dict in `path` or the asset `bisenet`, in eval mode and frozen.

    Raises ValueError when the file does not hold this network's tensors, and AssetMissingError without one.
    """
    path = assets.file_of("bisenet", path)
    try:
        return assemble(path, BiSeNet, tensors(read_checkpoint(path), path))
    except ValueError as error:
        raise ValueError(
            f"{error}; expected 79999_iter.pth, zllrunning/face-parsing.PyTorch's BiSeNet with {CLASSES} classes"
        ) from error
