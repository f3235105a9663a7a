"""HyperStyle: the authors' inventory, its forward pass computed again by plain operations, and its passes."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.images import resized
from methods.base import Inversion, render, rendered
from methods.generators import Generator, GeneratorConfig, load_generator
from methods.hypernetworks.network import HypernetConfig, Hypernetwork, layers_of
from methods.hypernetworks.refine import refine, refine_together
from methods.hypernetworks.stage import HyperStyle, HyperStyleConfig
from methods.hypernetworks.weights import toy_hypernet
from methods.resizing import pooled
from methods.synthesis import synthesise
from methods.tuning.stage import PivotalTuning, PivotalTuningConfig
from tests.parity import synth

IDS = ["set/a", "set/b", "set/c"]
SMALL = HypernetConfig(
    (6, 6, 6, 4, 4), (0, 1, 2, 6, 8, 10), 128, units=(1, 2, 1, 1), widths=(4, 6, 8, 10), shared_width=5, own_width=7,
    code=9,
)  # fmt: skip


def test_layers_are_numbered_as_the_authors_number_them() -> None:
    widths = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert [len(layers_of(widths[:n])) for n in (7, 8, 9)] == [20, 23, 26]
    config = HypernetConfig(widths)
    assert [layer.index for layer in config.tuned] == [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24]
    assert [layer.index for layer in config.tuned if config.shares(layer)] == [0, 2, 3, 5, 6, 8, 9, 11, 12]
    shapes = dict(Generator(GeneratorConfig(64, (6, 5, 4, 3, 2), 8, 8, 1)).named_parameters())
    for layer in layers_of((6, 5, 4, 3, 2)):
        kernel = 1 if layer.to_rgb else 3
        assert shapes[layer.parameter].shape == (1, layer.outputs, layer.inputs, kernel, kernel)
    with pytest.raises(ValueError, match=r"has layers 0 to 13, found \[14\]"):
        HypernetConfig((6, 5, 4, 3, 2), (3, 14))


def synthetic(hypernet: Hypernetwork) -> dict[str, Tensor]:
    """Weights by the rule of the reference outputs; the shared matrices, for which it has none, by one alike."""
    state = {}
    for key, value in hypernet.state_dict().items():
        if key.split(".")[-1] in ("w1", "b1", "w2", "b2"):
            name = f"shared.{key.split('.')[-1]}"  # the same tensors for all heads
            state[key] = torch.from_numpy(synth().synthetic_noise(name, value.shape)) / (3 if value.ndim == 2 else 10)
        else:
            state[key] = torch.from_numpy(synth().synthetic_array(key, value.shape))
    return {key: value.double() if value.is_floating_point() else value for key, value in state.items()}


def plain_trunk(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """ResNet34's body on a first convolution of stride 2, by plain operations."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / torch.sqrt(variance + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.bias"][:, None, None]

    x = norm(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), "bn1")
    x = torch.where(x > 0, x, x * state["relu.weight"][:, None, None])
    for n in range(sum(SMALL.units)):
        beside, stride = x, 1
        if f"body.{n}.downsample.0.weight" in state:
            stride = 1 if n < SMALL.units[0] else 2
            beside = norm(F.conv2d(x, state[f"body.{n}.downsample.0.weight"], stride=stride), f"body.{n}.downsample.1")
        x = norm(F.conv2d(x, state[f"body.{n}.conv1.weight"], stride=stride, padding=1), f"body.{n}.bn1").clamp(min=0)
        x = norm(F.conv2d(x, state[f"body.{n}.conv2.weight"], padding=1), f"body.{n}.bn2")
        x = (x + beside).clamp(min=0)
    return x


def plain_head(state: dict[str, Tensor], layer: int, x: Tensor, strides: list[int]) -> Tensor:
    """The convolutions of a head."""
    for n, stride in enumerate(strides):
        name = f"refinement_blocks.{layer}.convs.{2 * n}"
        x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, 1)
        x = torch.where(x > 0, x, 0.01 * x)
    return x


@torch.no_grad()
def test_the_forward_pass_by_plain_operations() -> None:
    hypernet = Hypernetwork(SMALL).double().eval()
    state = synthetic(hypernet)
    hypernet.load_state_dict(state)
    images, current = torch.randn(2, 2, 3, 128, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = hypernet(images, current)
    features = plain_trunk(state, torch.cat([images, current], dim=1))
    assert features.shape == (2, 10, 8, 8) and len(found) == 6
    width, code = SMALL.channels[0], SMALL.code
    for layer in (0, 2, 6):  # heads that share their matrices
        name = f"refinement_blocks.{layer}"
        codes = plain_head(state, layer, features, [1, 2, 2, 2])[:, :, 0, 0]
        codes = codes @ state[f"{name}.linear.weight"].t() / code**0.5 + state[f"{name}.linear.bias"]
        w1, b1, w2, b2 = (state[f"shared_weight_hypernet.{part}"] for part in ("w1", "b1", "w2", "b2"))
        wanted = torch.empty(2, width, width, 3, 3, dtype=torch.float64)
        for n, output in itertools.product(range(2), range(width)):
            columns = slice(output * code, (output + 1) * code)
            own = codes[n] @ w2[:, columns] + b2[columns]
            wanted[n, output] = (own @ w1 + b1).reshape(width, 3, 3)
        torch.testing.assert_close(found[layers_of(SMALL.channels)[layer].parameter], wanted, rtol=1e-11, atol=1e-12)
    for layer, strides in ((1, [2, 2, 2]), (8, [2, 2]), (10, [2, 2, 2])):  # heads of their own; 1 and 10 are to RGB
        each = layers_of(SMALL.channels)[layer]
        place = "0" if each.to_rgb else "1"
        mean = plain_head(state, layer, features, strides).mean(dim=(2, 3))
        name = f"refinement_blocks.{layer}.output.{place}"
        flat = mean @ state[f"{name}.weight"][:, :, 0, 0].t() + state[f"{name}.bias"]
        wanted = flat.reshape(2, each.outputs, each.inputs, 1, 1)
        torch.testing.assert_close(found[each.parameter], wanted, rtol=1e-11, atol=1e-12)


@torch.no_grad()
def test_separable_heads_by_plain_operations() -> None:
    hypernet = Hypernetwork(replace(SMALL, separable=True)).double().eval()
    state = synthetic(hypernet)
    hypernet.load_state_dict(state)
    images, current = torch.randn(2, 2, 3, 128, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = hypernet(images, current)
    features = plain_trunk(state, torch.cat([images, current], dim=1))
    for layer in (1, 8, 10):  # 1 and 10 are to RGB
        each = layers_of(SMALL.channels)[layer]
        name, k = f"refinement_blocks.{layer}.output.0", 1 if each.to_rgb else 3

        def linear(x: Tensor, part: str, name: str = name) -> Tensor:
            return x @ state[f"{name}.{part}.weight"].t() + state[f"{name}.{part}.bias"]

        codes = plain_head(state, layer, features, [2, 2, 2])[:, :, 0, 0]
        inputs = linear(codes, "make_kernel_in").reshape(2, k, k, each.inputs)
        outputs = linear(codes, "make_kernel_out").reshape(2, k, k, each.outputs)
        wanted = torch.empty(2, each.outputs, each.inputs, k, k, dtype=torch.float64)
        for n, y, x in itertools.product(range(2), range(k), range(k)):
            change = linear(torch.outer(outputs[n, y, x], inputs[n, y, x]), "kernel_linear_in")
            wanted[n, :, :, y, x] = linear(change.t(), "kernel_linear_out").t()
        torch.testing.assert_close(found[each.parameter], wanted, rtol=1e-11, atol=1e-12)


@torch.no_grad()
def test_a_changed_weight_is_changed_before_modulation_and_demodulation() -> None:
    """As the authors' layer: scale * (theta * (1 + delta) * style), divided by its norm, a kernel for every image."""
    generator = load_generator("toy").double()
    stream = torch.Generator().manual_seed(2)
    conv = copy.deepcopy(generator.convs[1].conv)
    x = torch.randn(1, 16, 8, 8, dtype=torch.float64, generator=stream)
    w = torch.randn(1, 16, dtype=torch.float64, generator=stream)
    delta = 0.3 * torch.randn(conv.weight.shape, dtype=torch.float64, generator=stream)
    style = conv.modulation(w)
    kernel = conv.scale * (conv.weight * (1 + delta) * style[:, None, :, None, None])
    kernel = kernel / torch.sqrt(kernel.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    conv.weight.copy_(conv.weight * (1 + delta))
    torch.testing.assert_close(conv(x, w), F.conv2d(x, kernel[0], padding=1), rtol=1e-11, atol=1e-12)


@pytest.fixture(scope="module")
def start() -> tuple[Generator, Tensor, Inversion]:
    """A toy generator, pictures, and codes in W+ that are not theirs."""
    generator = load_generator("toy")
    z = torch.randn(2, len(IDS), generator.z_dim, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        images = generator(z[0], noise="none").clamp(-1, 1)
        codes = generator.mapping(z[1])
        codes = codes + 0.1 * torch.randn(codes.shape, generator=torch.Generator().manual_seed(4))
    init = Inversion(tuple(IDS), codes, "W+", torch.empty_like(images), torch.zeros(len(IDS)))
    return generator, images, rendered(generator, init)


def by_loop(theta: Tensor, change: Tensor) -> Tensor:
    """theta (1 + change), [1, O, I, k, k], element by element; the change is [O, I, k, k] or [O, I, 1, 1]."""
    old, d = theta[0].tolist(), change.tolist()
    reach = change.shape[2]
    made = [
        [[[row[x] * (1 + d[o][i][y % reach][x % reach]) for x in range(len(row))] for y, row in enumerate(kernel)]
         for i, kernel in enumerate(kernels)]
        for o, kernels in enumerate(old)
    ]  # fmt: skip
    return torch.tensor(made, dtype=torch.float64)[None]


def test_changes_add_up_over_the_passes(start: tuple[Generator, Tensor, Inversion]) -> None:
    """Every weight by a loop over its elements, in double precision."""
    generator, images, init = start
    generator, images = copy.deepcopy(generator).double(), images[:2].double()
    init = Inversion(init.ids[:2], init.latent[:2].double(), "W+", images, init.steps[:2])
    stage = HyperStyle(generator, HyperStyleConfig("toy", steps=2)).double()
    found = stage.invert(images, IDS[:2], init)
    theta = dict(generator.named_parameters())
    with torch.no_grad():
        current = generator.synthesis(init.latent)
        total: dict[str, Tensor] = {}
        for _ in range(2):
            change = stage.hypernet(images, current)
            total = {name: total.get(name, 0) + each for name, each in change.items()}
            weights = [{k: by_loop(theta[k], each[n]) for k, each in total.items()} for n in range(2)]
            current = torch.cat([synthesise(generator, init.latent[n : n + 1], weights[n], None) for n in range(2)])
    for n in range(2):
        assert found.weights[n] is not None and found.weights[n].keys() == weights[n].keys()
        for name, value in weights[n].items():
            torch.testing.assert_close(found.weights[n][name], value, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found.image, current.clamp(-1, 1), rtol=1e-9, atol=1e-9)


def test_a_training_renders_a_batch_in_one_call_as_the_method_renders_its_images(
    start: tuple[Generator, Tensor, Inversion],
) -> None:
    generator, images, init = start
    hypernet = toy_hypernet(generator).requires_grad_(True)
    together = list(refine_together(hypernet, generator, images, init.latent, 2))
    one_by_one = [step.image for step in refine(hypernet, generator, images, init, 2, len(images))]
    weight = hypernet.shared_weight_hypernet.w1
    for found, expected in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        sums = (image.square().sum() for image in (found, expected))
        gradients = [torch.autograd.grad(total, weight, retain_graph=True)[0] for total in sums]
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[1].abs().max()))


def test_changes_of_zero_leave_the_generator_as_it_is(start: tuple[Generator, Tensor, Inversion]) -> None:
    generator, images, init = start
    stage = HyperStyle(generator, HyperStyleConfig("toy"))
    for name, parameter in stage.hypernet.named_parameters():
        if ".output." in name or name.endswith((".w1", ".b1")):
            parameter.data.zero_()
    found = stage.invert(images, IDS, init)
    own = dict(generator.named_parameters())
    for weights in found.weights:
        assert weights is not None and len(weights) == 9
        assert all(torch.equal(value, own[name]) for name, value in weights.items())
    assert torch.equal(found.image, init.image)


def test_weights_and_noise_that_came_with_the_pivot_are_kept(start: tuple[Generator, Tensor, Inversion]) -> None:
    generator, images, init = start
    stage = HyperStyle(generator, HyperStyleConfig("toy", steps=1))
    own = dict(generator.named_parameters())
    came = {"conv1.conv.weight": own["conv1.conv.weight"] * 2, "to_rgb1.bias": own["to_rgb1.bias"] + 0.1}
    noise = [torch.zeros_like(level) for level in generator.noise_buffers()]
    draft = Inversion(init.ids, init.latent, "W+", init.image, init.steps, (came,) * 3, (noise,) * 3)
    found = stage.invert(images, IDS, rendered(generator, draft))
    assert found.weights[0] is not None and torch.equal(found.weights[0]["to_rgb1.bias"], came["to_rgb1.bias"])
    with torch.no_grad():
        shown = pooled(synthesise(generator, init.latent, came, noise), 64)
        change = stage.hypernet(resized(images, 64), shown)["conv1.conv.weight"]
    torch.testing.assert_close(found.weights[2]["conv1.conv.weight"], came["conv1.conv.weight"] * (1 + change[2:]))
    assert found.space == "W+" and torch.equal(found.latent, init.latent)
    assert found.noise[1] is noise and torch.equal(render(generator, found), found.image)


@pytest.mark.assets
def test_images_with_generators_of_their_own_are_not_tuned_as_a_group(
    start: tuple[Generator, Tensor, Inversion],
) -> None:
    generator, images, init = start
    stage = PivotalTuning(generator, PivotalTuningConfig(steps=1, group=2))
    changed = HyperStyle(generator, HyperStyleConfig("toy", steps=1)).invert(images[:2], IDS[:2], init[:2])
    with pytest.raises(ValueError, match="2 images, which came with generators of their own: set group to 1"):
        stage.invert(images[:2], IDS[:2], changed)
    alike = Inversion(changed.ids, changed.latent, "W+", changed.image, changed.steps, changed.weights[:1] * 2)
    assert stage.invert(images[:2], IDS[:2], alike).weights[0] is not None
