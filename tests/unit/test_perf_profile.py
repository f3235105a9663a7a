"""Counts of operations against closed forms, and what a profile calls them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from benchmarks.perf.profile import KINDS, flops, shares
from benchmarks.perf.stages import Times, compared, interleaved, shortened
from methods.registry import resolve_stage


@pytest.mark.parametrize(("groups", "transposed"), [(1, False), (4, False), (1, True), (4, True)])
def test_a_convolution_and_its_gradients_cost_the_same_each(groups: int, transposed: bool) -> None:
    n, inputs, outputs, side, k = 2, 8, 12, 6, 3
    x = torch.randn(n, inputs, side, side, requires_grad=True)
    shape = (inputs, outputs // groups) if transposed else (outputs, inputs // groups)
    weight = torch.randn(*shape, k, k, requires_grad=True)
    convolve = F.conv_transpose2d if transposed else F.conv2d

    def forward() -> torch.Tensor:
        return convolve(x, weight, padding=1, groups=groups)

    once = 2 * n * side * side * k * k * inputs * outputs // groups
    assert flops(forward) == once
    assert flops(lambda: forward().sum().backward()) == 3 * once
    weight.requires_grad_(False)
    assert flops(lambda: forward().sum().backward()) == 2 * once


def test_time_is_told_apart_by_kind() -> None:
    x, weight = torch.randn(4, 32, 32, 32, requires_grad=True), torch.randn(32, 32, 3, 3, requires_grad=True)
    matrix = torch.randn(400, 400)
    found = shares(lambda: F.conv2d(x, weight, padding=1).sum().backward())
    assert set(found) == set(KINDS) and sum(found.values()) == pytest.approx(1)
    assert found["convolution"] > 0 and found["its gradient"] > 0 and found["blur, depthwise"] == 0
    blur = torch.randn(32, 1, 4, 4)
    assert shares(lambda: F.conv2d(x.detach(), blur, groups=32))["blur, depthwise"] > 0
    assert max((found := shares(lambda: matrix @ matrix)), key=lambda each: found[each]) == "matrix product"
    weight.grad = torch.ones_like(weight)
    optimiser = torch.optim.Adam([weight])
    assert shares(optimiser.step)["optimiser"] > 0.9


def test_actions_take_turns_and_every_repeat_is_kept() -> None:
    order: list[str] = []
    taken = interleaved([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert [len(t.processor) for t in taken] == [len(t.wall) for t in taken] == [3, 3]


def test_a_ratio_is_of_the_same_round_and_by_part() -> None:
    own, other = Times([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]), Times([3.0, 6.0, 9.0], [2.0, 2.0, 2.0])
    line = compared("x", [own, other], [10, 5])
    assert line == "| x | 200 (100 to 300) | 1.2e+03 (600 to 1.8e+03) | 6 (6 to 6) | 4 (4 to 4) |"
    assert compared("x", [own], [10]) == "| x | 200 (100 to 300) | | | |"


def test_a_shortened_stage_never_stops_early() -> None:
    spec = shortened(resolve_stage("pivotal_tuning", {}), 3)
    assert (spec.config.steps, spec.config.stop_lpips) == (3, 0.0)
    assert shortened(resolve_stage("w_optimization", {}), 3).config.steps == 3
    encoder = resolve_stage("e4e", {})
    assert shortened(encoder, 3) == encoder
