"""SFace as a torch module: a MobileNet of 27 convolutions and one linear layer, with embeddings [128].

Reference: Zhong et al., "SFace: Sigmoid-constrained hypersphere loss for robust face recognition", arXiv
2205.12010; OpenCV Zoo, face_recognition_sface_2021dec (Apache-2.0). Weights: datasets/converters/sface_onnx.py.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import assets
from datasets.alignment import TEMPLATE, TEMPLATE_SIDE, similarity
from datasets.checkpoints import fill, read_checkpoint, tensors
from metrics.networks import IdentityNetwork

SIDE = TEMPLATE_SIDE
# The same points by MTCNN in the suite's 64 px frame: means over the 400 aligned ORL faces.
FRAME = ((20.66, 24.07), (43.05, 24.07), (31.69, 36.02), (22.13, 46.53), (41.54, 46.66))
FRAME_SIDE = 64
# Outputs and strides of the 13 depthwise-separable blocks after the first convolution.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def crop_transform(landmarks: np.ndarray | None = None, frame_side: int = FRAME_SIDE) -> np.ndarray:
    """[2, 3]: normalised coordinates (-1 to 1 over the edges) of the crop -> those of an image.

    The inverse of the least-squares similarity that takes the landmarks [5, 2], in pixels of the square image, to
    TEMPLATE. By default those of the mean face in the tight frame.
    """
    points = np.array(FRAME) if landmarks is None else landmarks
    frame, template = (2 * points + 1) / frame_side - 1, (2 * np.array(TEMPLATE) + 1) / SIDE - 1
    turn, move = similarity(frame, template)
    inverse = 1 / turn
    shift = -inverse * move
    return np.array([[inverse.real, -inverse.imag, shift.real], [inverse.imag, inverse.real, shift.imag]])


MEAN_FACE = torch.from_numpy(crop_transform())


def _values(transform: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, transform.tolist()))


@lru_cache(maxsize=64)
def _copied(values: tuple[tuple[float, ...], ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A transform on a device: kept there, as a copy to a GPU waits for it, which a recorded step must not do."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float64).to(device, dtype)


class Layer(nn.Module):
    """Convolution, batch norm, PReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class SFace(IdentityNetwork):
    """Embeddings [N, 128] of 112 px faces on ArcFace's template."""

    transform: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers, width = [Layer(3, 32, 3)], 32
        for outputs, stride in BLOCKS:
            layers += [Layer(width, width, 3, stride, groups=width), Layer(width, outputs, 1)]
            width = outputs
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(width, eps=2e-5)
        self.linear = nn.Linear(width * 7 * 7, 128)
        self.output_norm = nn.BatchNorm1d(128, eps=2e-5)
        self.register_buffer("transform", MEAN_FACE.clone(), persistent=False)

    def crop(self, images: Tensor, transform: Tensor | None = None) -> Tensor:
        """Faces [N, 3, S, S] -> [N, 3, 112, 112], bilinear; black outside the image, as OpenCV's warp.

        The template reaches 8 px of 64 above the tight frame. On ORL, black separates people better than repeated edge
        pixels or a mirrored frame (mean cosine of different people 0.09, compared with 0.13 and 0.12). So what the
        tight frame leaves out is black in every frame: strangers of openpeople have a mean cosine of 0.17 in the tight
        frame and 0.24 in FFHQ's; with the hair 0.29 in FFHQ's, and by the mean face's crop 0.51.

        Args:
            images: in [-1, 1].
            transform: `crop_transform` [2, 3] of the landmarks; by default that of the mean face in the tight frame.
        """
        # Average large images first, so that no input pixel is skipped. `area` keeps the frame's edges aligned where
        # the factor does not divide the side.
        side = images.shape[-1]
        own = MEAN_FACE if transform is None else transform.cpu()
        step = float(own[:, 0].norm()) * side / SIDE  # input pixels for one output pixel
        if step >= 2:
            small = round(side / int(step))
            images = F.interpolate(images, size=(small, small), mode="area")
        there = self.transform.to(images) if transform is None else _copied(_values(own), images.device, images.dtype)
        grid = F.affine_grid(there.expand(len(images), 2, 3), [len(images), 3, SIDE, SIDE], align_corners=False)
        crops = F.grid_sample(images + 1, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if transform is not None:
            mean = F.affine_grid(self.transform.to(images)[None], [1, 3, SIDE, SIDE], align_corners=False)
            crops = crops * (mean.abs() <= 1).all(dim=-1)[:, None]
        return crops - 1

    def forward(self, crops: Tensor) -> Tensor:
        """The graph's output [N, 128] for crops [N, 3, 112, 112] in [-1, 1], RGB; the graph reads BGR 0..255."""
        x = crops.flip(1) * (127.5 / 128)  # (x - 127.5) / 128
        return self.output_norm(self.linear(self.norm(self.layers(x)).flatten(1)))

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, 112, 112] in [-1, 1], RGB -> unit vectors [N, 128]."""
        return F.normalize(self(crops), dim=1)


def load_sface(path: str | Path | None = None) -> SFace:
    """SFace with the safetensors in `path` or the asset `sface`. Raises ValueError that names the file."""
    path = assets.file_of("sface", path)
    network = SFace()
    fill(path, network, tensors(read_checkpoint(path), path))
    return network
