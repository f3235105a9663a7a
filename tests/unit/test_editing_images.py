"""Edits of a linear toy generator, where every picture, every effect and every consistency is known exactly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from methods.base import Inversion, render
from methods.editing.directions import Direction
from methods.editing.images import between, edited, eight_bit, faithful, interpolate, mixed, tiles, undone
from metrics.editing import SHEET, STEP, STRENGTHS, latent_distance

SHAPE, SIDE = (4, 3), 2  # rows and width of a code; 12 numbers make the 12 of a picture


class LinearGenerator(nn.Module):
    """A picture is gain times the code, number by number: what it shows can be read off and inverted exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("noise", torch.zeros(1, 1, SIDE, SIDE))

    def noise_buffers(self) -> list[Tensor]:
        return [self.noise]

    def synthesis(self, w_plus: Tensor, noise: object = "const", own_layout: bool = True) -> Tensor:
        added = self.noise if isinstance(noise, str) else noise[0]
        return self.gain * w_plus.reshape(-1, 3, SIDE, SIDE) + added


def inverse(pictures: Tensor, ids) -> Inversion:
    """The exact encoder of the untuned generator."""
    return inversion(pictures.reshape(-1, *SHAPE) / 0.5, ids)


def inversion(latent: Tensor, ids, weights=None, noise=None) -> Inversion:
    n = len(latent)
    image = torch.zeros(n, 3, SIDE, SIDE)
    one = Inversion(tuple(ids), latent, "W+", image, torch.zeros(n), (weights,) * n, (noise,) * n)
    return Inversion(one.ids, latent, "W+", render(GENERATOR, one), one.steps, one.weights, one.noise)


GENERATOR = LinearGenerator().requires_grad_(False)
STEP_A = torch.zeros(SHAPE)
STEP_A[0, 0] = 8 / 255 / STEP / 0.5  # strength STEP moves the first number of the picture by 4 of 255 levels
STEP_B = torch.zeros(SHAPE)
STEP_B[1, 1] = 0.1
DIRECTIONS = {"a": Direction("a", "yaw", STEP_A, slope=2.0), "b": Direction("b", "smile", STEP_B, slope=-3.0)}


def codes(n: int = 2) -> Tensor:
    levels = torch.randint(-60, 60, (n, *SHAPE), generator=torch.Generator().manual_seed(0))
    return (levels * 2 + 1) / 255 / 0.5  # on the levels of 8 bits


def test_a_sheet_has_every_strength_from_low_to_high_and_then_the_sequence():
    found = tiles(DIRECTIONS)
    sweep = [*(-strength for strength in reversed(STRENGTHS)), *STRENGTHS]
    assert len(STRENGTHS) >= 7 and {STEP, *SHEET} <= set(STRENGTHS)
    assert [(t.attribute, t.strength) for t in found] == [
        *[("yaw", s) for s in sweep],
        *[("smile", s) for s in sweep],
        ("", -STEP),
        ("", STEP),
    ]
    # More of the attribute, although direction b lowers it.
    assert found[0].edits == {"a": -STRENGTHS[-1]} and found[14].edits == {"b": STRENGTHS[-1]}
    assert found[-1].edits == {"a": STEP, "b": -STEP}


def test_an_edit_has_its_known_effect_and_no_other():
    one = inversion(codes(1), ["x"])
    low, none, high = edited(GENERATOR, one, [{"a": -STEP}, {}, {"a": STEP}], DIRECTIONS)
    torch.testing.assert_close(none, one.image[0])
    change = high - none
    assert change[0, 0, 0] == pytest.approx(8 / 255, abs=1e-6) and change.flatten()[1:].abs().max() < 1e-6
    torch.testing.assert_close(none - low, change)


def test_edits_use_the_images_own_generator():
    tuned = inversion(codes(1), ["x"], weights={"gain": torch.tensor(0.25)})
    (moved,) = edited(GENERATOR, tuned, [{"a": STEP}], DIRECTIONS)
    assert moved[0, 0, 0] - tuned.image[0, 0, 0, 0] == pytest.approx(4 / 255, abs=2 / 255)
    torch.testing.assert_close(moved, eight_bit(0.25 * (tuned.latent + STEP * STEP_A)).reshape(3, SIDE, SIDE))
    assert faithful(GENERATOR, tuned)
    lost = Inversion(tuned.ids, tuned.latent, tuned.space, tuned.image, tuned.steps)
    assert not faithful(GENERATOR, lost)


def test_editing_consistency_is_zero_where_the_encoder_is_the_exact_inverse():
    first = inversion(codes(), ["x", "y"])
    back = undone(inverse, GENERATOR, first, {"a": STEP}, DIRECTIONS)
    assert latent_distance(first.latent, back.latent).max() < 1e-6
    torch.testing.assert_close(back.image, first.image)


def test_editing_consistency_is_the_error_of_a_biased_encoder():
    def biased(pictures, ids):
        exact = inverse(pictures, ids)
        return inversion(exact.latent + 0.01, ids)

    first = inversion(codes(), ["x", "y"])
    back = undone(biased, GENERATOR, first, {"a": STEP}, DIRECTIONS)
    expected = 0.01 * math.sqrt(12)
    torch.testing.assert_close(
        latent_distance(first.latent, back.latent), torch.full((2,), expected), rtol=1e-3, atol=0
    )


def test_an_encoder_that_ignores_the_edit_pays_its_length():
    first = inversion(codes(), ["x", "y"])
    back = undone(lambda _, ids: first, GENERATOR, first, {"a": STEP}, DIRECTIONS)
    length = float(STEP * STEP_A.norm())
    torch.testing.assert_close(latent_distance(first.latent, back.latent), torch.full((2,), length), rtol=1e-4, atol=0)


def test_a_line_leads_evenly_from_one_picture_to_the_other():
    both = inversion(codes(), ["x", "y"])
    stops = interpolate(GENERATOR, both[:1], both[1:], 4)
    torch.testing.assert_close(stops[[0, -1]], both.image)
    torch.testing.assert_close(stops[2], both.image.mean(dim=0), rtol=0, atol=1.1 / 255)


def test_a_line_leads_through_the_weights_and_the_noise_of_tuned_generators():
    code = codes(1)
    noise = [torch.full((1, 1, SIDE, SIDE), 0.2)]
    a = inversion(code, ["x"], weights={"gain": torch.tensor(0.3)}, noise=noise)
    b = inversion(code, ["y"])
    middle = between(GENERATOR, a, b, 0.5)
    assert middle.weights[0] is not None and float(middle.weights[0]["gain"]) == pytest.approx(0.4)
    assert middle.noise[0] is not None and float(middle.noise[0][0].mean()) == pytest.approx(0.1)
    stops = interpolate(GENERATOR, a, b, 2)
    torch.testing.assert_close(stops[0], eight_bit(a.image)[0])
    torch.testing.assert_close(stops[1], eight_bit(0.4 * code.reshape(1, 3, SIDE, SIDE) + 0.1)[0])
    assert between(GENERATOR, b, b, 0.5).weights == (None,)


def test_a_mixture_takes_its_first_rows_from_one_and_the_rest_from_the_other():
    both = inversion(codes(), ["x", "y"])
    mixture = mixed(GENERATOR, both[:1], both[1:])[0].flatten()
    torch.testing.assert_close(mixture[:6], both.image[0].flatten()[:6])
    torch.testing.assert_close(mixture[6:], both.image[1].flatten()[6:])


def test_eight_bits_are_those_of_a_png():
    values = torch.tensor([-2.0, -1.0, 0.001, 1.0, 3.0]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    found = (eight_bit(values) + 1) * 127.5
    assert found[0, 0, 0].round(decimals=3).tolist() == [0, 0, 128, 255, 255]
