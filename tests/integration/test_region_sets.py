"""The landmark ellipse on the embedded sets: it finds every face, holds face and hair and little of what is behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from torch import Tensor

from datasets import images, registry
from metrics.regions import load_parser
from tests import sheets

NECK = 6  # rows of 64 at the bottom, where neck and shoulders are no backdrop either


def pictures(name: str) -> Tensor:
    manifest = registry.load(name)
    files = [manifest.root / record.file for record in manifest.records if record.file]
    return torch.stack([images.to_tensor(images.read_rgb(file)) for file in files])


def backdrop(picture: np.ndarray) -> np.ndarray | None:
    """[H, W]: the plain grey behind a studio portrait [H, W, 3] in 0..255; None where it cannot be told by its colour.

    Pixels without chroma near the commonest light grey, where they are joined to the upper edge or the sides.
    """
    chroma, grey = np.ptp(picture, axis=-1), picture.mean(axis=-1)
    candidates = grey[(chroma < 12) & (grey > 90)]
    if len(candidates) < 150:
        return None
    commonest = np.convolve(np.bincount(candidates.astype(int), minlength=256), np.ones(7), "same").argmax()
    parts, _ = label((abs(grey - commonest) < 16) & (chroma < 14))
    joined = (set(parts[0]) | set(parts[:, 0]) | set(parts[:, -1])) - {0}
    found = np.isin(parts, list(joined))
    return found if 0.05 < found.mean() < 0.6 else None


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize(("name", "number", "without"), [("openpeople", 210, 0), ("orl", 400, 2), ("celeba", 200, 1)])
def test_nearly_every_face_has_a_region(name: str, number: int, without: int) -> None:
    masks, reasons = load_parser("landmark_ellipse")(pictures(name))
    assert len(masks) == number and sum(map(bool, reasons)) == without
    shares = masks.flatten(1).mean(dim=1)[[not reason for reason in reasons]]
    assert float(shares.min()) > 0.2 and float(shares.max()) < 0.55, (shares.min(), shares.max())


@pytest.mark.assets
def test_the_ellipse_holds_little_backdrop_and_most_of_the_rest() -> None:
    portraits = pictures("openpeople")
    masks = load_parser("landmark_ellipse")(portraits)[0][:, 0].numpy()
    behind, held = [], []
    for portrait, mask in zip(((portraits.permute(0, 2, 3, 1) + 1) * 127.5).numpy(), masks, strict=True):
        grey = backdrop(portrait)
        if grey is not None:
            head = ~grey
            head[-NECK:] = False
            behind.append((mask * grey).sum() / mask.sum())
            held.append((mask * head).sum() / head.sum())
    print(
        f"{len(behind)} portraits: {np.mean(behind):.3f} of the region is backdrop, {np.mean(held):.3f} of the rest in"
    )
    assert len(behind) == 192 and np.mean(behind) < 0.02 and np.mean(held) > 0.6  # of FFHQ's frame, with shoulders


@pytest.mark.assets
def test_the_sheet_tints_what_lies_outside_and_nothing_else() -> None:
    orl = registry.load("orl").subset(3)
    row = sheets.row(orl, list(orl.records), load_parser("landmark_ellipse"))
    assert row.shape == (3, 128, sheets.COLUMNS * 128) and bool((row[..., 3 * 128 :] == 1).all()), "white behind them"
    chroma = row.amax(dim=0) - row.amin(dim=0)  # the photographs are grey
    assert float(chroma[64, 64]) < 1e-5 and float(chroma[-1, 0]) > 0.5
