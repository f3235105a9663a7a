"""IR-SE50 and CurricularFace against their authors' outputs, with their own crops."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from datasets import assets
from datasets.alignment import TEMPLATE, NoFaceError, find_face, template_crop
from datasets.images import read_rgb, to_tensor
from metrics.networks import load_identity
from metrics.networks.arcface import CurricularFace
from metrics.networks.irse import Shortcut
from tests import parity
from tests.parity import Case


def written(tmp_path: Path, inventory: str) -> Path:
    path = tmp_path / f"{inventory}.pth"
    torch.save(parity.synthetic_state(parity.key_shapes(inventory, "")), path)
    return path


def faces(case: Case, name: str) -> torch.Tensor:
    return ((case[f"in_{name}"].permute(0, 3, 1, 2).contiguous().float() / 255 - 0.5) / 0.5).double()


@pytest.mark.slow
def test_ir_se50_gives_the_authors_vectors_and_loss(tmp_path: Path) -> None:
    case = Case("ir_se50")
    network = load_identity("ir_se50", written(tmp_path, "ir_se50")).double()
    case.assert_close("emb112", network.embed(faces(case, "u8_face112")))
    crop = network.crop(faces(case, "u8_yhat"))
    case.assert_close("crop_pool", crop)
    images = {name: faces(case, f"u8_{name}") for name in ("yhat", "y", "x")}
    with torch.no_grad():
        found = {name: network.embed(network.crop(image)) for name, image in images.items()}
    for name, vectors in found.items():
        case.assert_close(f"emb_{name}", vectors)
    pairs = (("yhat", "y"), ("yhat", "x"), ("y", "x"))
    cosines = torch.stack([(found[a] * found[b]).sum(dim=1) for a, b in pairs], dim=1)
    case.assert_close("id_logs", cosines)
    image = images["yhat"].requires_grad_(True)
    loss = (1 - (network.embed(network.crop(image)) * found["y"]).sum(dim=1)).mean()
    loss.backward()
    gain = (cosines[:, 0] - cosines[:, 2]).mean()
    case.assert_close("id_loss", torch.stack([loss.detach(), gain]))
    case.assert_close("grad_yhat", image.grad)
    # Other sides are pooled to 256 px first.
    large = images["y"].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(network.crop(large), network.crop(images["y"]))


@pytest.mark.slow
def test_curricularface_gives_the_authors_vectors(tmp_path: Path) -> None:
    case = Case("curricularface")
    network = load_identity("curricularface", written(tmp_path, "curricularface_ir101")).double()
    crops = faces(case, "u8")
    first = crops[:1].clone().requires_grad_(True)
    vectors = network.embed(torch.cat([first, crops[1:]]))
    case.assert_close("emb", vectors)
    case.assert_close("cos", vectors @ vectors.T)
    (vectors[0] @ vectors[1].detach()).backward()
    case.assert_close("grad_x0", first.grad)


@pytest.mark.parametrize(("name", "inventory"), [("ir_se50", "ir_se50"), ("curricularface", "curricularface_ir101")])
def test_names_and_shapes_are_the_official_ones(name: str, inventory: str, tmp_path: Path) -> None:
    shapes = parity.key_shapes(inventory, "")
    torch.save({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}, tmp_path / "file.pth")
    found = load_identity(name, tmp_path / "file.pth")
    assert {key: list(value.shape) for key, value in found.state_dict().items()} == shapes
    lacking = {key: torch.zeros(()).expand(shape) for key, shape in list(shapes.items())[1:]}
    torch.save(lacking, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: lacks input_layer\.0\.weight"):
        load_identity(name, tmp_path / "other.pth")


@pytest.mark.parametrize("inputs", [4, 8, 12, 16])
def test_a_shortcut_of_few_channels_learns_as_a_convolution_does(inputs: int) -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(3, inputs, 64, 64, generator=random).contiguous(memory_format=torch.channels_last)
    shortcut = Shortcut(inputs, 16, 2)
    with torch.no_grad():
        shortcut.weight.copy_(torch.rand(16, inputs, 1, 1, generator=random))
    found = shortcut(images)
    found.square().mean().backward()
    # By hand, as torch's own gradient for this layout may end the process.
    flat, weight = images[:, :, ::2, ::2].permute(0, 2, 3, 1).reshape(-1, inputs), shortcut.weight.detach()[..., 0, 0]
    wanted = flat @ weight.T
    assert torch.allclose(found.permute(0, 2, 3, 1).reshape(-1, 16), wanted, atol=1e-5)
    gradient = 2 * wanted.T @ flat / wanted.numel()
    assert shortcut.weight.grad is not None
    assert torch.allclose(shortcut.weight.grad[..., 0, 0], gradient, rtol=1e-4)


@pytest.mark.assets
def test_curricularfaces_crop_has_the_face_on_the_template() -> None:
    image = read_rgb(assets.ensure("orl_faces") / "s1" / "1.pgm").resize((276, 336))
    crop = template_crop(image, find_face(image))
    # MTCNN finds the five points of the crop where the template has them.
    wanted = torch.tensor(TEMPLATE)
    found = torch.from_numpy(find_face(crop).points).float()
    assert float((found - wanted).norm(dim=1).max()) < 6
    turned = template_crop(image.rotate(20, resample=3), find_face(image.rotate(20, resample=3)))
    difference = (to_tensor(turned) - to_tensor(crop))[:, 30:90, 30:80].abs().mean()
    assert float(difference) < 0.12, "a turned face is turned back"


def test_curricularfaces_crop_refuses_pictures_without_a_face() -> None:
    with torch.device("meta"):
        network = CurricularFace()
    with pytest.raises(NoFaceError):
        network.crop(torch.zeros(1, 3, 256, 256))
