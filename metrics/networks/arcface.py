"""Two identity networks of published papers: IR-SE50 of the training losses, CurricularFace of the metric.

Their values are not comparable: the input of IR-SE50 is a fixed crop of an aligned 256 px image, that of CurricularFace
a face detected by MTCNN. References: Deng et al., ArcFace, arXiv 1801.07698, model_ir_se50.pth
(TreB1eN/InsightFace_Pytorch) as criteria/id_loss.py of omertov/encoder4editing uses it; Huang et al., CurricularFace,
arXiv 2004.00288, CurricularFace_Backbone.pth as scripts/calc_id_loss_parallel.py of eladrich/pixel2style2pixel does.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import assets
from datasets.alignment import find_face, template_crop
from datasets.checkpoints import assemble, read_checkpoint, tensors
from datasets.images import to_image, to_tensor
from metrics.networks import IdentityNetwork
from metrics.networks.irse import UNITS_50, UNITS_100, WIDTHS, input_layer, residual_body

SIDE, FRAME = 112, 256
ROWS, COLUMNS = slice(35, 223), slice(32, 220)  # of a FRAME px image


class _Backbone(IdentityNetwork):
    """Embeddings [N, 512] of 112 px crops."""

    def __init__(self, units: tuple[int, ...], excited: bool, scaled: bool):
        super().__init__()
        self.input_layer = input_layer(3, WIDTHS[0])
        self.body = residual_body(units, WIDTHS, excited)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Identity(),  # dropout in training; keeps the released names of the next layers
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512, affine=scaled),
        )

    def embed(self, crops: Tensor) -> Tensor:
        """Crops [N, 3, 112, 112] in [-1, 1], RGB -> unit vectors [N, 512]."""
        return F.normalize(self.output_layer(self.body(self.input_layer(crops))), dim=1)


class IRSE50(_Backbone):
    """ArcFace with 50 layers, as the identity losses of pSp, e4e and ReStyle use it."""

    def __init__(self) -> None:
        super().__init__(UNITS_50, excited=True, scaled=True)

    def crop(self, images: Tensor) -> Tensor:
        """Aligned faces (FFHQ's frame) [N, 3, S, S] -> [N, 3, 112, 112]: pooled to 256 px, a fixed box, pooled."""
        if images.shape[-2:] != (FRAME, FRAME):
            images = F.adaptive_avg_pool2d(images, (FRAME, FRAME))
        return F.adaptive_avg_pool2d(images[:, :, ROWS, COLUMNS], (SIDE, SIDE))


class CurricularFace(_Backbone):
    """IR-101 trained with CurricularFace."""

    def __init__(self) -> None:
        super().__init__(UNITS_100, excited=False, scaled=False)

    def crop(self, images: Tensor) -> Tensor:
        """The `detected_faces` of images [N, 3, S, S]."""
        return detected_faces(images)


def detected_faces(images: Tensor) -> Tensor:
    """Images [N, 3, S, S] -> [N, 3, 112, 112]: faces detected by MTCNN and aligned to ArcFace's five points.

    The released metric has its own copy of MTCNN; this is facenet-pytorch's. Computed on the CPU; not differentiable.
    Raises NoFaceError for an image without a face.
    """
    faces = [to_image(image) for image in images.detach().float().cpu()]
    crops = [to_tensor(template_crop(face, find_face(face), SIDE)) for face in faces]
    return torch.stack(crops).to(images) if crops else images.new_zeros(0, 3, SIDE, SIDE)


def load_ir_se50(path: str | Path | None = None) -> IRSE50:
    """IR-SE50 with the state dict in `path` or the asset `ir_se50`. Raises ValueError that names the file."""
    path = assets.file_of("ir_se50", path)
    return assemble(path, IRSE50, tensors(read_checkpoint(path), path))


def load_curricularface(path: str | Path | None = None) -> CurricularFace:
    """CurricularFace with the state dict in `path` or the asset `curricularface`; raises as load_ir_se50."""
    path = assets.file_of("curricularface", path)
    return assemble(path, CurricularFace, tensors(read_checkpoint(path), path))
