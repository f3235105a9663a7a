"""Identity similarity: cosine similarity of the embeddings of reconstruction and target by a face network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor

from datasets.alignment import NoFaceError, find_face
from datasets.images import to_image
from datasets.scope import FACES, FFHQ, TIGHT
from metrics.base import MetricInfo, SampleMetric, SetMetric
from metrics.networks import IdentityNetwork, load_identity
from metrics.networks.arcface import detected_faces
from metrics.networks.sface import SFace, crop_transform
from metrics.target_cache import TargetCache

FACES_BYTES = 2**29  # room for 3,500 targets' faces: CelebA-HQ's test split has 2,824, and finding one takes longest
DETECTION_SIDE = 320  # px; a face that fills an aligned image is found at that size


@cache
def _network(name: str, device: torch.device, dtype: torch.dtype) -> IdentityNetwork:
    return load_identity(name).to(device, dtype)


def embed(images: Tensor, network: str, at: Tensor | None = None) -> Tensor:
    """Unit vectors [N, D] of faces [N, 3, H, W] in [-1, 1], by the network's own recipe.

    Args:
        images: the faces.
        network: name of an identity network.
        at: sface crops each image at the landmarks of these [N or 1, 3, H, W]; by default at its own. The vector of
            an image without a face is NaN.
    """
    net = _network(network, images.device, images.dtype)
    if not isinstance(net, SFace):
        return net.embed(net.crop(images))
    found = _targets("landmarks", images if at is None else at, lambda new: [(_transform(image),) for image in new])
    transforms = [transform for (transform,) in found]
    places = transforms * (len(images) // len(transforms))
    return torch.cat([net.embed(net.crop(image[None], place)) for image, place in zip(images, places, strict=True)])


def _transform(image: Tensor) -> Tensor:
    """SFace's crop [2, 3] of the largest face in an image [3, H, W]; NaN where there is none."""
    try:
        face = find_face(to_image(image), DETECTION_SIDE, DETECTION_SIDE)
    except NoFaceError:
        return torch.full((2, 3), torch.nan)
    return torch.from_numpy(crop_transform(face.points, image.shape[-1]))


def _faceless(targets: Tensor) -> list[str]:
    return ["no face found in the target" if _transform(image).isnan().any() else "" for image in targets]


_targets, _faces = TargetCache(), TargetCache()


def cosine(images: Tensor, targets: Tensor, network: str, vectors: Callable[..., Tensor] = embed) -> Tensor:
    """Cosine similarity [N] of the embeddings of two batches; those of the targets are cached.

    Args:
        images, targets: [N, 3, H, W] in [-1, 1].
        network: name of an identity network.
        vectors: gives the embeddings, as `embed` does.
    """
    name = network, vectors, targets.device
    cached = _targets(name, targets, lambda new: [(vector,) for vector in vectors(new, network)])
    a = vectors(images, network, targets)
    b = torch.stack([vector for (vector,) in cached]) if cached else a
    return (a * b).sum(dim=1).clamp(-1, 1)  # rounding may leave [-1, 1]


def _of_crops(crops: Tensor, network: str, at: Tensor | None = None) -> Tensor:
    """As `embed`, for what `_crops` gives."""
    return _network(network, crops.device, crops.dtype).embed(crops)


def _crops(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The detected faces of both, as CurricularFace takes them; those of the targets are cached."""
    cached = _faces("", targets, lambda new: [(crop,) for crop in detected_faces(new)], max_bytes=FACES_BYTES)
    return detected_faces(images), torch.stack([crop for (crop,) in cached])


def _identity(
    network: str, title: str, recipe: str, reference: str, version: int = 1, frames: tuple[str, ...] = ()
) -> SampleMetric:  # fmt: skip
    info = MetricInfo(
        name=f"id_{network}", title=f"ID ({title})", direction="higher", unit="", range=(-1.0, 1.0), version=version,
        recipe=f"cosine similarity of the {title} embeddings of reconstruction and target; {recipe}",
        reference=reference, digits=3, margin=0.005,  # two decimals
        frames=frames, domains=(FACES,),
    )  # fmt: skip
    undefined = _faceless if network == "sface" else None
    return SampleMetric(info, partial(cosine, network=network), asset=network, undefined=undefined)


def id_sface() -> SampleMetric:
    return _identity(
        "sface", "SFace",
        "both taken to ArcFace's five-point template at 112 px by the similarity transform of the target's landmarks "
        "(MTCNN), bilinear, black outside the image and above the forehead, so that it holds in every frame; "
        "OpenCV Zoo's weights of December 2021, int8 in blocks, computed in floating point",
        "Zhong et al., SFace, arXiv 2205.12010; OpenCV Zoo face_recognition_sface_2021dec",
        version=2,
    )  # fmt: skip


def rank1_sface() -> SetMetric:
    info = MetricInfo(
        name="rank1_sface", title="Rank-1 (SFace)", direction="higher", unit="", range=(0.0, 1.0), version=1,
        recipe="share of images whose reconstruction is nearer to its own target than to any other target of the set, "
        "by the cosine of SFace embeddings, each image cropped at its own landmarks; one without a face is not near; "
        "it depends on the number of images",
        reference="Grother & Ngan, NIST Interagency Report 8009 (rank-one identification)", digits=3, domains=(FACES,),
    )  # fmt: skip
    return SetMetric(info, "sface", lambda: partial(embed, network="sface"), nearest_is_own, asset="sface", real=False)


def nearest_is_own(images: Tensor, targets: Tensor) -> Tensor:
    """For embeddings [n, D] of reconstructions and of their targets: 1 where the nearest target is the own one [n]."""
    cosines = (images @ targets.T).nan_to_num(-2.0)
    own = cosines.diagonal()
    return ((own > -2) & (own >= cosines.amax(dim=1))).double()


def id_facenet() -> SampleMetric:
    return _identity(
        "facenet", "FaceNet",
        "InceptionResnetV1 trained on VGGFace2 (20180402-114759), the whole aligned frame resized to 160 px, "
        "bilinear with antialiasing, (x - 127.5) / 128",
        "Schroff et al., FaceNet, arXiv 1503.03832; github.com/timesler/facenet-pytorch",
        frames=(TIGHT,),
    )  # fmt: skip


def id_ir_se50() -> SampleMetric:
    return _identity(
        "ir_se50", "IR-SE50",
        "ArcFace's IR-SE50 (model_ir_se50.pth) as the training losses of pSp, e4e and ReStyle see it: FFHQ-aligned "
        "images pooled to 256 px, rows 35 to 222 and columns 32 to 219, pooled to 112 px; no detection",
        "Deng et al., ArcFace, arXiv 1801.07698; omertov/encoder4editing, criteria/id_loss.py",
        frames=(FFHQ,),
    )  # fmt: skip


def id_curricularface() -> SampleMetric:
    metric = _identity(
        "curricularface", "CurricularFace",
        "IR-101 (CurricularFace_Backbone.pth); in each image facenet-pytorch's MTCNN finds the largest face, which "
        "one similarity takes to ArcFace's five points at 112 px, bilinear; an image without a face is a failure (the "
        "released script uses another copy of MTCNN and drops such images silently)",
        "Huang et al., CurricularFace, arXiv 2004.00288; eladrich/pixel2style2pixel, scripts/calc_id_loss_parallel.py",
    )  # fmt: skip
    function = partial(cosine, network="curricularface", vectors=_of_crops)
    return replace(metric, function=function, prepare=_crops)
