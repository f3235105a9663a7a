"""Attributes that networks of the field tell, where the user has their weights: HopeNet, DEX, AnyCost GAN's predictor.

They answer for every picture, face or not, as the released code does.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor, nn

from metrics.attributes.faces import AttributeInfo, Faces
from metrics.networks.attribute_nets import CELEBA, load_celeb_attributes, load_dex, load_hopenet

LANES = 8  # faces at once, always (the rest is padding), so that no result depends on its batch
_hopenet, _dex, _celeba = cache(load_hopenet), cache(load_dex), cache(load_celeb_attributes)


def _read(network: nn.Module, faces: Faces) -> Tensor:
    images = faces.images.to("cpu", torch.float32)
    padded = torch.cat([images, images.new_zeros(-len(images) % LANES, *images.shape[1:])])
    return torch.cat([network(part) for part in padded.split(LANES)])[: len(images)].double()


def _angle(place: int, faces: Faces) -> Tensor:
    return _read(_hopenet(), faces)[:, place]


def _age(faces: Faces) -> Tensor:
    return _read(_dex(), faces)


def _celeb(place: int, faces: Faces) -> Tensor:
    return _read(_celeba(), faces)[:, place]


_POSE = "HopeNet (hopenet_robust_alpha1.pkl), whole frame at 224 px, expectation over 66 bins of 3 degrees"
_YEARS = "DEX (dex_age_classifier.pth), whole frame at 224 px, RGB in [-1, 1], expectation over 0 to 100"
_CELEBA = "AnyCost GAN's predictor (attribute_predictor.pt), whole frame at 256 px, log odds of {}"
PREDICTORS = (
    *(
        AttributeInfo(f"{name}_hopenet", f"{name} (HopeNet)", "degrees", (-99.0, 96.0), 1, f"{_POSE}; {name}",
                      partial(_angle, place), network="hopenet", needs_face=False)
        for place, name in enumerate(("yaw", "pitch", "roll"))
    ),
    AttributeInfo("age_dex", "age (DEX)", "years", (0.0, 100.0), 1, _YEARS, _age, network="dex", needs_face=False),
    *(
        AttributeInfo(f"celeba_{name.lower()}", f"{name} (CelebA)", "log odds", (-100.0, 100.0), 1,
                      _CELEBA.format(name), partial(_celeb, place), network="celeb_attributes", needs_face=False,
                      digits=2)
        for place, name in enumerate(CELEBA)
    ),
)  # fmt: skip
