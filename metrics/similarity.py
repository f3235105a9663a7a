"""Similarity of images by features that are not of faces; never reported as identity."""

from __future__ import annotations

from functools import partial

from metrics.base import MetricInfo, SampleMetric
from metrics.identity import cosine


def sim_moco() -> SampleMetric:
    info = MetricInfo(
        name="sim_moco", title="MoCo similarity", direction="higher", unit="", range=(-1.0, 1.0), version=1,
        recipe="cosine similarity of MoCo v2 features (ResNet-50, moco_v2_800ep_pretrain.pth.tar) of reconstruction "
        "and target, the full image pooled to 256 px by areas and resized to 224 px by the nearest pixel, in [-1, 1]; "
        "for domains without faces (cars), where the field's training losses use it in place of an identity",
        reference="Chen et al., arXiv 2003.04297; omertov/encoder4editing, criteria/moco_loss.py", digits=3,
    )  # fmt: skip
    return SampleMetric(info, partial(cosine, network="moco"), asset="moco")
