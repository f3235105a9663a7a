"""Closed forms of the edit metrics: edits whose effect and identity are known."""

from __future__ import annotations

import math

import pytest
import torch

from metrics.editing import (
    STEP,
    STRANGERS,
    STRENGTHS,
    Edits,
    Reading,
    Target,
    at_equal_effect,
    average,
    change_outside,
    detour,
    effect,
    entanglement,
    identity_at,
    identity_curve,
    identity_over_effect,
    in_sequence,
    latent_distance,
    path_length,
    same_step,
    still_at_reach,
)
from metrics.set_distances import frechet_pseudo_values, moments, pseudo_values

YAW, SMILE = Target("yaw", "Yaw", "degrees", 8.0), Target("smile", "Smile", "%", 4.0)


def linear(gain: float = 1.0, loss: float = 0.01, identity: float = 0.9, leak: float = 0.0) -> Edits:
    """Strength s moves yaw by gain * 8 s degrees and smile by leak * 4 s; identity falls by loss a degree."""

    def reading(yaw: float, smile: float) -> Reading:
        values = {"yaw": 5 + 8 * yaw, "smile": 40 + 4 * smile}
        lost = loss * abs(8 * yaw)
        still = {"psnr": 30 - abs(8 * yaw)}
        return Reading(identity - lost, values, outside=0.02 * abs(yaw), kept=1 - lost, still=still)

    both = [sign * s for sign in (-1, 1) for s in STRENGTHS]
    single = {("yaw", s): reading(gain * s, leak * s) for s in both}
    single |= {("smile", s): reading(leak * s, gain * s) for s in both}
    return Edits(
        target_values={"yaw": 4.0, "smile": 41.0},
        inversion=reading(0, 0),
        single=single,
        sequence={s: reading(gain * s, gain * s) for s in (-STEP, STEP)},
    )


def test_reach_is_the_nominal_effect_of_a_step_in_two_digits():
    assert YAW.reach == 12.0
    assert Target("x", "X", "", 0.01234).reach == 0.019


def test_identity_over_effect_of_a_line_is_its_middle():
    assert identity_over_effect([0, 5, 10, 16], [0.9, 0.85, 0.8, 0.74], 15) == pytest.approx((0.825, 1.0))


def test_effects_not_reached_count_as_strangers():
    value, share = identity_over_effect([0, 5], [0.8, 0.8], 10)
    assert (value, share) == pytest.approx(((0.8 + STRANGERS) / 2, 0.5))
    assert identity_over_effect([0, -5], [0.8, 0.8], 10) == (STRANGERS, 0)


def test_effects_and_identities_are_fitted_monotone():
    # 6 and 2 are one effect of 4 to the fit, and the weaker strength is the cheaper way there.
    at, found = identity_curve([0, 6, 2, 8], [1.0, 0.8, 0.9, 0.5], 10)
    assert at == pytest.approx([0, 4, 8]) and found == pytest.approx([1.0, 0.85, 0.5])
    levels = [identity_at([0, 6, 2, 8], [1.0, 0.8, 0.9, 0.5], level, 10) for level in (0, 2, 4, 6, 8)]
    assert levels == pytest.approx([1.0, 0.925, 0.85, 0.675, 0.5])
    assert math.isnan(identity_at([0, 6, 2, 8], [1.0, 0.8, 0.9, 0.5], 9, 10))


def test_a_target_without_a_face_has_no_identity_at_any_effect():
    assert all(math.isnan(x) for x in identity_curve([0, 5, 8], [math.nan] * 3, 10)[1])
    assert math.isnan(identity_over_effect([0, 5, 10], [math.nan] * 3, 10)[0])
    assert math.isnan(identity_over_effect([0, -5], [math.nan] * 2, 10)[0])


def test_a_jump_gets_no_credit_for_what_lies_between():
    at, found = identity_curve([0, 60], [0.9, 0.0], 10)
    assert at == [0, 5, 60] and found == pytest.approx([0.9, STRANGERS, STRANGERS])


# Seven strengths each; the range of effects is 10.
HONEST = [10 / 3 * n for n in range(8)], [0.5 - 0.04 * n for n in range(8)]
TOYS = {
    "jumps to a stranger with an extreme attribute": ([0, *[60] * 7], [0.5, *[0.0] * 7]),
    "jumps further": ([0, *[1000] * 7], [0.5, *[-0.2] * 7]),
    "jumps from a better inversion": ([0, *[60] * 7], [0.9, *[0.0] * 7]),
    "jumps just as far as it is looked at": ([0, *[10] * 7], [0.5, *[0.0] * 7]),
    "jumps at its last strength": ([*[0] * 7, 60], [*[0.5] * 7, 0.0]),
    "does not edit": ([0] * 8, [0.9] * 8),
    "does not edit, negative identity": ([0] * 8, [-0.1] * 8),
    "collapsed encoder: one face that edits well": (HONEST[0], [0.1] * 8),
    "collapsed encoder, negative identity": (HONEST[0], [-0.1] * 8),
    "wanders between strangers": ([0, 30, -20, 40, -10, 50, 0, 60], [0.5, *[0.0] * 7]),
}


@pytest.mark.parametrize("toy", TOYS)
def test_adversarial_editors_lose_to_a_smooth_honest_one(toy):
    honest, reached = identity_over_effect(*HONEST, 10)
    assert (honest, reached) == (pytest.approx(0.44), 1)
    assert identity_over_effect(*TOYS[toy], 10)[0] < 0.85 * honest


def test_not_editing_never_beats_editing_that_keeps_the_same_identity():
    for identity in (-0.3, -0.1, 0.0, 0.1, 0.5):
        still, moved = ([0.0] * 8, [identity] * 8), (HONEST[0], [identity] * 8)
        assert identity_over_effect(*still, 10)[0] <= identity_over_effect(*moved, 10)[0]


def test_a_finer_sweep_sees_the_same_identity():
    for curve in (lambda e: 0.5 * (1 - (e / 20) ** 2), lambda e: 0.5 * math.exp(-e / 10)):
        coarse, fine = ([20 / n * k for k in range(n + 1)] for n in (7, 32))
        values = [identity_over_effect(e, [curve(x) for x in e], 10)[0] for e in (coarse, fine)]
        assert values[0] == pytest.approx(values[1], abs=0.005)


def test_unreadable_pictures_reach_nothing():
    assert identity_over_effect([0, math.nan], [0.9, 0.9], 10) == (STRANGERS, 0)
    value, share = identity_over_effect([0, math.nan, 4, 8], [0.9, 0.1, 0.8, 0.8], 10)
    assert share == pytest.approx(0.8)
    assert value == pytest.approx((4 * 0.85 + 4 * 0.8 + 2 * STRANGERS) / 10)


@pytest.mark.parametrize(("effects", "reach"), [([1, 2], 5), ([], 5), ([0, 1], 0), ([0, 1, 2], 5)])
def test_paths_that_make_no_sense_are_refused(effects, reach):
    with pytest.raises(ValueError, match="expected"):
        identity_over_effect(effects, [0.9, 0.8], reach)


def test_equal_effect_does_not_depend_on_the_gain_but_the_same_step_does():
    weak, strong = (linear(gain=gain) for gain in (0.6, 1.0))
    assert at_equal_effect(weak, YAW)[0][0] == pytest.approx(at_equal_effect(strong, YAW)[0][0])
    assert at_equal_effect(strong, YAW)[0][0] == pytest.approx(0.9 - 0.01 * 6)  # the middle of 0 to 12 degrees
    # What the edit alone costs does not know of the inversion's own identity.
    assert at_equal_effect(strong, YAW, kept=True)[0][0] == pytest.approx(1 - 0.01 * 6)
    assert same_step(strong, YAW)[0][0] == pytest.approx(12)
    assert same_step(weak, YAW)[0][0] == pytest.approx(7.2)
    assert same_step(weak, YAW)[1][0] > same_step(strong, YAW)[1][0]  # why the same step flatters who moves less


def test_too_little_gain_lowers_identity_at_equal_effect():
    edits = linear(gain=0.25, loss=0.0)  # 7 of 12 degrees at the greatest strength
    (value, _), (share, _) = at_equal_effect(edits, YAW)
    assert share == pytest.approx(7 / 12)
    assert value == pytest.approx((7 * 0.9 + 5 * STRANGERS) / 12)


def test_an_edit_that_goes_the_wrong_way_reaches_nothing_and_has_a_negative_effect():
    edits = linear(gain=-1.0)
    assert at_equal_effect(edits, YAW) == ((pytest.approx(STRANGERS), ""), (0, ""))
    assert same_step(edits, YAW)[0][0] == pytest.approx(-12)
    assert effect(edits, "yaw", STEP) == pytest.approx(-12)


def test_an_unreadable_input_has_no_value_and_an_unreadable_inversion_reaches_nothing():
    edits = linear()
    blind = Edits({"yaw": math.nan, "smile": 1.0}, edits.inversion, edits.single, edits.sequence)
    assert at_equal_effect(blind, YAW)[0] == (None, "yaw cannot be read from the target")
    lost = Edits(edits.target_values, Reading(0.5, {"yaw": math.nan, "smile": math.nan}), edits.single, edits.sequence)
    assert at_equal_effect(lost, YAW) == ((pytest.approx(STRANGERS), ""), (0, ""))
    (value, reason), (identity, _) = same_step(lost, YAW)
    assert value is None and "yaw cannot be read" in reason and identity == pytest.approx(0.78)
    assert entanglement(lost, [YAW, SMILE])[0] is None
    assert average([(None, "why"), (None, "")]) == (None, "why")
    assert average([(None, "why"), (2.0, ""), (4.0, "")]) == (3.0, "")


def test_sequence_is_a_share_of_the_nominal_effect():
    (share, _), (identity, _) = in_sequence(linear(gain=0.8), [YAW, SMILE])
    assert share == pytest.approx(0.8)
    assert identity == pytest.approx(0.9 - 0.01 * 8 * 0.8 * STEP)


def test_entanglement_is_the_leak_over_the_gain():
    assert entanglement(linear(gain=1.0, leak=0.3), [YAW, SMILE])[0] == pytest.approx(0.3)
    assert entanglement(linear(gain=0.5, leak=0.3), [YAW, SMILE])[0] == pytest.approx(0.6)
    assert entanglement(linear(gain=0.0, leak=0.3), [YAW, SMILE])[0] == pytest.approx(3.0)  # over LEAST_SHARE


def test_change_outside_is_per_nominal_effect():
    # Outside moves by 0.02 a strength of yaw, and does nothing under the edit of smile, which leaks nothing.
    assert change_outside(linear(), [YAW])[0] == pytest.approx(0.02 * STEP)
    assert change_outside(linear(gain=0.5), [YAW])[0] == pytest.approx(0.02 * STEP)
    assert change_outside(linear(), [SMILE])[0] == 0
    unseen = Edits({"yaw": 0.0}, Reading(1, {"yaw": 0.0}), {("yaw", s): Reading(1, {"yaw": s}) for s in (-STEP, STEP)})
    assert change_outside(unseen, [YAW])[0] is None


def test_what_an_edit_keeps_elsewhere_is_read_at_its_full_effect():
    for gain in (0.6, 1.0, 1.7):  # whatever the strength that it takes
        assert still_at_reach(linear(gain=gain), YAW, "psnr")[0] == pytest.approx(30 - 12)
    weak, reason = still_at_reach(linear(gain=0.4), YAW, "psnr")
    assert weak is None and "an effect of -12 is not reached" in reason, "not editing would keep everything"
    assert still_at_reach(linear(gain=-1.0), YAW, "psnr")[0] is None
    assert still_at_reach(linear(), YAW, "ssim") == (None, "not measured")


def test_latent_distance_is_flattened():
    codes = torch.zeros(2, 4, 9)
    torch.testing.assert_close(latent_distance(codes, codes + 0.5), torch.full((2,), 3.0))


def test_path_length_of_a_straight_line_of_a_quadratic_distance_does_not_depend_on_the_steps():
    for k in (2, 8):  # LPIPS-like squared distance of neighbours on a line of length 3
        steps = torch.full((2, k), (3.0 / k) ** 2)
        torch.testing.assert_close(path_length(steps), torch.full((2,), 9.0))


def test_the_detour_of_an_even_line_of_a_quadratic_distance_is_one():
    steps, ends = torch.full((1, 8), (3.0 / 8) ** 2), torch.tensor([9.0])
    torch.testing.assert_close(detour(steps, ends), torch.ones(1))
    jump = torch.tensor([[0.0] * 7 + [9.0]])  # all change in one step of eight
    torch.testing.assert_close(detour(jump, ends), torch.full((1,), 8.0))


def test_pseudo_values_of_a_mean_are_the_values_and_of_a_variance_are_unbiased():
    values = [1.0, 4.0, 7.0, 2.0]
    without = [sum(values[:i] + values[i + 1 :]) / 3 for i in range(4)]
    assert pseudo_values(3.5, without) == pytest.approx(values)
    tensor = torch.tensor(values, dtype=torch.float64)
    biased = [float(torch.cat([tensor[:i], tensor[i + 1 :]]).var(correction=0)) for i in range(4)]
    found = pseudo_values(float(tensor.var(correction=0)), biased)
    assert sum(found) / 4 == pytest.approx(float(tensor.var(correction=1)))
    with pytest.raises(ValueError, match="at least two"):
        pseudo_values(1.0, [1.0])


def test_frechet_pseudo_values_agree_with_the_eigenvalue_form():
    stream = torch.Generator().manual_seed(0)
    features = torch.randn(7, 5, generator=stream, dtype=torch.float64)
    reference = torch.randn(30, 5, generator=stream, dtype=torch.float64) + 0.3

    def known(rows):
        cov, cov_ref = rows.T.cov(), reference.T.cov()
        cross = torch.linalg.eigvals(cov @ cov_ref).real.clamp_min(0).sqrt().sum()
        gap = (rows.mean(0) - reference.mean(0)).square().sum()
        return float(gap + cov.trace() + cov_ref.trace() - 2 * cross)

    without = [known(torch.cat([features[:i], features[i + 1 :]])) for i in range(7)]
    torch.testing.assert_close(
        torch.tensor(frechet_pseudo_values(features, *moments(reference)), dtype=torch.float64),
        torch.tensor(pseudo_values(known(features), without), dtype=torch.float64),
        rtol=1e-6,
        atol=1e-6,
    )
    with pytest.raises(ValueError, match="at least three"):
        frechet_pseudo_values(features[:2], *moments(reference))
