"""Attributes by published networks whose weights the user supplies: HopeNet, DEX, AnyCost GAN's predictor.

As in the released code, they give a value for any image, with or without a face.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor, nn

from metrics.attributes.faces import AttributeInfo, Faces
from metrics.networks.attribute_nets import CELEBA, load_celeb_attributes, load_dex, load_hopenet

BATCH = 8  # fixed (padded), so that results do not depend on the batch
_hopenet, _dex, _celeba = cache(load_hopenet), cache(load_dex), cache(load_celeb_attributes)


def _read(network: nn.Module, faces: Faces) -> Tensor:
    images = faces.images.to("cpu", torch.float32)
    padded = torch.cat([images, images.new_zeros(-len(images) % BATCH, *images.shape[1:])])
    return torch.cat([network(part) for part in padded.split(BATCH)])[: len(images)].double()


def _angle(index: int, faces: Faces) -> Tensor:
    return _read(_hopenet(), faces)[:, index]


def _age(faces: Faces) -> Tensor:
    return _read(_dex(), faces)


def _celeb(index: int, faces: Faces) -> Tensor:
    return _read(_celeba(), faces)[:, index]


_POSE = "HopeNet (hopenet_robust_alpha1.pkl), full frame at 224 px, expectation over 66 bins of 3 degrees"
_YEARS = "DEX (dex_age_classifier.pth), full frame at 224 px, RGB in [-1, 1], expectation over 0 to 100"
_CELEBA = "AnyCost GAN's predictor (attribute_predictor.pt), full frame at 256 px, log odds of {}"
PREDICTORS = (
    *(
        AttributeInfo(f"{name}_hopenet", f"{name} (HopeNet)", "degrees", (-99.0, 96.0), 1, f"{_POSE}; {name}",
                      partial(_angle, index), network="hopenet", needs_face=False)
        for index, name in enumerate(("yaw", "pitch", "roll"))
    ),
    AttributeInfo("age_dex", "age (DEX)", "years", (0.0, 100.0), 1, _YEARS, _age, network="dex", needs_face=False),
    *(
        AttributeInfo(f"celeba_{name.lower()}", f"{name} (CelebA)", "log odds", (-100.0, 100.0), 1,
                      _CELEBA.format(name), partial(_celeb, index), network="celeb_attributes", needs_face=False,
                      digits=2)
        for index, name in enumerate(CELEBA)
    ),
)  # fmt: skip
