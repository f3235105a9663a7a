"""HyperStyle against the authors' outputs: changed weights, all kinds of heads, the loop; through files as theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Inversion
from methods.generators import Generator, GeneratorConfig
from methods.generators.stylegan2 import official_config
from methods.hypernetworks import load_hyperstyle
from methods.hypernetworks.network import HypernetConfig, Hypernetwork, layers_of
from methods.hypernetworks.refine import RefinementStep, refine
from methods.hypernetworks.stage import HyperStyle, HyperStyleConfig
from methods.synthesis import synthesise
from tests.parity import Case, decoder_256, key_shapes, noise, picture, synthetic_state

CARS = {"encoder_type": "SharedWeightsHyperNetResNetSeparable", "dataset_type": "cars_hypernet"}


def started(latent: Tensor) -> Inversion:
    """An inversion that is nothing but codes."""
    ids = tuple(map(str, range(len(latent))))
    return Inversion(ids, latent, "W+", latent.new_empty(len(latent), 3, 0, 0), torch.zeros(len(latent)))


def written(path: Path, shapes: dict[str, list[int]], mean: Tensor | None, **options: str) -> Path:
    """A file of synthetic weights; a tensor that heads share is stored once."""
    torch.save({"state_dict": synthetic_state(shapes), "latent_avg": mean, "opts": options}, path)
    return path


def assert_changes(case: Case, name: str, changes: Mapping[int, Tensor]) -> None:
    """All changes [1, O, I, k, k] by their statistics, those that are stored by samples of outputs and inputs."""
    whole = [change.expand(-1, -1, -1, 3, 3) for change in changes.values()]
    numbers = [(float(c.mean()), float(c.std(correction=0)), float(c.abs().max())) for c in whole]
    case.assert_close(f"{name}_stats", torch.tensor(numbers, dtype=torch.float64))
    stored = [layer for layer in changes if f"out_{name}_l{layer}" in case.arrays]
    assert len(stored) >= 2
    for layer, change in zip(changes, whole, strict=True):
        if layer in stored:
            shape = case.arrays[f"out_{name}_l{layer}"].shape
            outputs, inputs = change.shape[1] // shape[1], change.shape[2] // shape[2]
            case.assert_close(f"{name}_l{layer}", change[:, ::outputs, ::inputs])


@torch.no_grad()
def assert_network(case: Case, hypernet: Hypernetwork, height: int) -> None:
    """The trunk's last map, and the changes of all layers."""
    last: list[Tensor] = []
    hypernet.body[-1].register_forward_hook(lambda _, __, out: last.append(out))
    found = hypernet(picture(f"{case.name}.x", height), picture(f"{case.name}.yhat", height))
    case.assert_close("trunk", last[0][:, ::16])
    tuned = {layer.index: layer for layer in hypernet.shape.tuned}
    assert list(tuned) == case.meta["tuned_layers"]
    assert_changes(case, "delta", {n: found[layer.parameter] for n, layer in tuned.items()})


@pytest.mark.slow  # official widths at 256 px, in double precision, with gradients
def test_changed_weights_draw_the_authors_images() -> None:
    case, generator = Case("hyperstyle_decoder_256"), decoder_256()
    layers = layers_of(generator.config.channels)
    w = noise("hyperstyle_decoder_256.w", 2, 14, 512)

    def given(name: str, count: int, numbers: list[int]) -> dict[int, Tensor]:
        shapes = {n: (count, layers[n].outputs, layers[n].inputs, *[layers[n].kernel] * 2) for n in numbers}
        drawn = {n: noise(f"hyperstyle_decoder_256.{name}{n}", *shape, times=0.2) for n, shape in shapes.items()}
        return {n: each.requires_grad_(True) for n, each in drawn.items()}

    def first_step(latent: Tensor, changes: dict[int, Tensor]) -> RefinementStep:
        """Of a network that gives these changes whatever it sees."""
        named = {layers[n].parameter: change for n, change in changes.items()}
        seen = torch.zeros(len(latent), 3, 256, 256, dtype=torch.float64)
        return next(refine(lambda *_: named, generator, seen, started(latent), 1, len(latent)))  # type: ignore[arg-type]

    with torch.no_grad():
        case.assert_close("img_none", generator.synthesis(w[:1]))
        case.assert_close("img_deltaB", first_step(w, given("deltaB", 2, [4, 5, 18])).image)
    code, changes = w[:1].clone().requires_grad_(True), given("delta", 1, [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18])
    image = first_step(code, changes).image
    case.assert_close("img_delta", image)
    image.square().mean().backward()
    case.assert_close("grad_w", code.grad)
    for n, step in ((5, 32), (12, 32), (18, 8)):
        case.assert_close(f"grad_delta{n}", changes[n].grad[:, ::step, ::step])  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.timeout(900)  # 330 million weights in double precision
def test_the_network_gives_the_authors_changes() -> None:
    case, hypernet = Case("hyperstyle_hypernet_1024"), Hypernetwork(HypernetConfig())
    shapes = {k: v for k, v in key_shapes("hyperstyle_ffhq", "state_dict").items() if k.startswith("hypernet.")}
    hypernet.load_state_dict({k.removeprefix("hypernet."): v for k, v in synthetic_state(shapes).items()})
    assert_network(case, hypernet.double().eval(), 256)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_file_with_separable_heads_gives_the_authors_changes_of_cars(tmp_path: Path) -> None:
    case = Case("hyperstyle_separable_512")
    shapes = {k: v for k, v in key_shapes(case.name, "state_dict").items() if k.startswith("hypernet.")}
    path = written(tmp_path / "cars.pt", shapes, None, **CARS)
    slight = Generator(GeneratorConfig(512, official_config(512).channels, 8, 512, 1)).eval()
    hypernet = load_hyperstyle(path, None, slight).hypernet.double()
    path.unlink()  # a gigabyte
    assert hypernet.wide and hypernet.shape.separable
    assert_network(case, hypernet, 192)


@pytest.mark.slow
@pytest.mark.timeout(900)
@torch.no_grad()
def test_two_refinement_steps_are_the_authors(tmp_path: Path) -> None:
    """From both files: the W encoder's codes from the hypernetwork's mean, images, changes added up."""
    case = Case("hyperstyle_loop_256")
    mean = synthetic_state(key_shapes("hyperstyle_size256", ""))["latent_avg"]
    path = written(tmp_path / "hyperstyle.pt", key_shapes("hyperstyle_size256", "state_dict"), mean)
    shapes = key_shapes("hyperstyle_w_encoder", "state_dict")
    shapes = {key: shape for key, shape in shapes.items() if key.startswith("encoder.")}
    encoder = written(tmp_path / "encoder.pt", shapes, torch.ones(14, 512))
    found = load_hyperstyle(path, encoder).double()
    path.unlink()
    x, generator = picture("hyperstyle_loop_256.x"), found.generator
    codes = found.encode(x)
    case.assert_close("codes", codes)
    case.assert_close("yhat0", generator.synthesis(codes))
    own = dict(generator.named_parameters())
    steps = refine(found.hypernet, generator, found.hypernet.preprocess(x), started(codes), 2, 1)
    for n, step in enumerate(steps):
        case.assert_close(f"img_it{n}", step.image[0])
        weights = {layer.index: step.weights[0][layer.parameter] for layer in found.hypernet.shape.tuned}
        named = {layer.index: own[layer.parameter] for layer in found.hypernet.shape.tuned}
        assert_changes(case, f"delta_it{n}", {k: each / named[k] - 1 for k, each in weights.items()})
        if n == 0:
            inversion = found.invert(x, 1)
            assert inversion.space == "W" and torch.equal(inversion.latent, codes)
            assert torch.equal(inversion.image, step.image.clamp(-1, 1))


@torch.no_grad()
def test_networks_of_cars_see_the_middle_rows(tmp_path: Path) -> None:
    """The authors' loop: rows cut from the pooled first image, from each later one before it is pooled."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(128, (8, 8, 8, 4, 4, 4), 8, 16, 1)).eval()
    small = {"units": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "shared_width": 8, "own_width": 8, "code": 8}
    hypernet = Hypernetwork(HypernetConfig((8, 8, 8, 4, 4, 4), resolution=64, separable=True, **small))  # type: ignore[arg-type]
    state = {f"hypernet.{key}": value for key, value in hypernet.state_dict().items()}
    torch.save({"state_dict": state, "opts": CARS}, tmp_path / "cars.pt")
    read = load_hyperstyle(tmp_path / "cars.pt", None, generator).double()
    stream = torch.Generator().manual_seed(1)
    square = torch.rand(2, 3, 128, 128, dtype=torch.float64, generator=stream) * 2 - 1
    codes = generator.mapping(torch.randn(2, 8, dtype=torch.float64, generator=stream))
    own, total = dict(generator.named_parameters()), dict[str, Tensor]()
    target = F.interpolate(square[:, :, 16:112], (48, 64), mode="bilinear", antialias=True)
    image = generator.synthesis(codes)
    current = F.adaptive_avg_pool2d(image, (64, 64))[:, :, 8:56]
    for _ in range(2):
        change = read.hypernet(target, current)
        total = {name: total.get(name, 0) + each for name, each in change.items()}
        weights = [{k: own[k] * (1 + each[n]) for k, each in total.items()} for n in range(2)]
        image = torch.cat([synthesise(generator, codes[n : n + 1], weights[n], None) for n in range(2)])
        current = F.adaptive_avg_pool2d(image[:, :, 16:112], (48, 64))
    found = read.invert(square, 2, codes)
    torch.testing.assert_close(found.image, image.clamp(-1, 1), rtol=1e-9, atol=1e-9)
    assert (image - generator.synthesis(codes)).abs().max() > 0.01
    again = read.invert(target, 2, codes)  # which is of the network's size
    torch.testing.assert_close(again.image, found.image, rtol=1e-9, atol=1e-9)
    stage = HyperStyle(generator, HyperStyleConfig(str(tmp_path / "cars.pt"), 2, batch_size=2)).double()
    staged = stage.invert(square, ["0", "1"], started(codes))
    torch.testing.assert_close(staged.image, found.image, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("inventory", "side", "separable"),
    [
        ("hyperstyle_ffhq", 1024, False),
        ("hyperstyle_size256", 256, False),
        ("hyperstyle_separable_512", 512, True),
        ("hyperstyle_separable_1024", 1024, True),
    ],
)
def test_networks_have_the_listed_tensors(inventory: str, side: int, separable: bool) -> None:
    shapes = key_shapes(inventory, "state_dict")
    with torch.device("meta"):
        hypernet = Hypernetwork(HypernetConfig(official_config(side).channels, separable=separable))
    found = {f"hypernet.{key}": list(value.shape) for key, value in hypernet.state_dict().items()}
    decoder = {f"decoder.{key}": shape for key, shape in key_shapes(f"rosinality_{side}_cm2", "g_ema").items()}
    assert found | decoder == shapes
