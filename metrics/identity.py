"""Identity similarity: cosine similarity of the embeddings of reconstruction and target by a face network."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from metrics.base import MetricInfo, SampleMetric
from metrics.networks import IdentityNetwork, load_identity
from metrics.target_cache import TargetCache


@cache
def _network(name: str, device: torch.device, dtype: torch.dtype) -> IdentityNetwork:
    return load_identity(name).to(device, dtype)


def embed(images: Tensor, network: str) -> Tensor:
    """Unit vectors [N, D] of aligned faces [N, 3, H, W] in [-1, 1], by the network's own recipe."""
    net = _network(network, images.device, images.dtype)
    return net.embed(net.crop(images))


_targets = TargetCache()


def cosine(images: Tensor, targets: Tensor, network: str) -> Tensor:
    """Cosine similarity [N] of the embeddings of two batches; those of the targets are cached.

    Args:
        images, targets: [N, 3, H, W] in [-1, 1].
        network: name of an identity network.
    """
    cached = _targets((network, targets.device), targets, lambda new: [(vector,) for vector in embed(new, network)])
    a = embed(images, network)
    b = torch.stack([vector for (vector,) in cached]) if cached else a
    return (a * b).sum(dim=1).clamp(-1, 1)  # rounding may leave [-1, 1]


def _identity(network: str, title: str, recipe: str, reference: str) -> SampleMetric:
    info = MetricInfo(
        name=f"id_{network}", title=f"ID ({title})", direction="higher", unit="", range=(-1.0, 1.0), version=1,
        recipe=f"cosine similarity of the {title} embeddings of reconstruction and target; {recipe}",
        reference=reference, digits=3,
    )  # fmt: skip
    return SampleMetric(info, partial(cosine, network=network), asset=network)


def id_sface() -> SampleMetric:
    return _identity(
        "sface", "SFace",
        "both in the suite's aligned frame (mtcnn5_tight), taken to ArcFace's five-point template at 112 px by one "
        "fixed similarity transform, bilinear, black outside the frame; no detection at scoring "
        "time; OpenCV Zoo's weights of December 2021, int8 in blocks, computed in floating point",
        "Zhong et al., SFace, arXiv 2205.12010; OpenCV Zoo face_recognition_sface_2021dec",
    )  # fmt: skip


def id_facenet() -> SampleMetric:
    return _identity(
        "facenet", "FaceNet",
        "InceptionResnetV1 trained on VGGFace2 (20180402-114759), the whole aligned frame resized to 160 px, "
        "bilinear with antialiasing, (x - 127.5) / 128",
        "Schroff et al., FaceNet, arXiv 1503.03832; github.com/timesler/facenet-pytorch",
    )  # fmt: skip


def id_ir_se50() -> SampleMetric:
    return _identity(
        "ir_se50", "IR-SE50",
        "ArcFace's IR-SE50 (model_ir_se50.pth) as the training losses of pSp, e4e and ReStyle see it: FFHQ-aligned "
        "images pooled to 256 px, rows 35 to 222 and columns 32 to 219, pooled to 112 px; no detection",
        "Deng et al., ArcFace, arXiv 1801.07698; omertov/encoder4editing, criteria/id_loss.py",
    )  # fmt: skip


def id_curricularface() -> SampleMetric:
    return _identity(
        "curricularface", "CurricularFace",
        "IR-101 (CurricularFace_Backbone.pth); in each image facenet-pytorch's MTCNN finds the largest face, which "
        "one similarity takes to ArcFace's five points at 112 px, bilinear; an image without a face is a failure (the "
        "released script uses another copy of MTCNN and drops such images silently)",
        "Huang et al., CurricularFace, arXiv 2004.00288; eladrich/pixel2style2pixel, scripts/calc_id_loss_parallel.py",
    )  # fmt: skip
