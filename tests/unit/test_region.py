"""Metrics on the interest region: closed forms, what they are made of, ranges, and the masks that they remember."""

from __future__ import annotations

import lpips
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.protocols.reconstruction import measure
from metrics import perceptual, pixel, region, regions, registry
from metrics.networks.lpips import Lpips
from metrics.paired import occlusion_metrics
from tests.drawn_faces import drawn_face

seeds = st.integers(0, 2**31 - 1)
levels = st.floats(-1, 1, allow_nan=False, width=32)


def noise(seed: int, *shape: int) -> Tensor:
    """Float64 in [-1, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def soft(seed: int, count: int = 2, side: int = 64) -> Tensor:
    return (noise(seed, count, 1, side, side) + 1) / 2


def left_half(side: int = 64) -> Tensor:
    mask = torch.zeros(1, 1, side, side, dtype=torch.float64)
    mask[..., : side // 2] = 1
    return mask


@pytest.fixture(scope="module")
def network() -> Lpips:
    """LPIPS of a random AlexNet in float64: the algebra does not depend on the weights."""
    torch.manual_seed(0)
    return Lpips(lpips.LPIPS(pretrained=False, net="alex", pnet_rand=True, verbose=False)).double()


@pytest.fixture
def random_lpips(network: Lpips, monkeypatch: pytest.MonkeyPatch) -> Lpips:
    monkeypatch.setattr(perceptual, "network", lambda net, device, dtype: network)
    return network


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 40))
def test_a_full_mask_gives_the_metric_of_the_whole_image(seed: int, side: int) -> None:
    a, b = noise(seed, 2, 3, side, side), noise(seed + 1, 2, 3, side, side)
    full = torch.ones(2, 1, side, side, dtype=torch.float64)
    torch.testing.assert_close(region.masked_mse(a, b, full), pixel.squared_error(a, b))
    torch.testing.assert_close(region.masked_mse_code(a, b, full), pixel.squared_error(a, b))
    torch.testing.assert_close(region.masked_psnr(a, b, full), pixel.peak_signal_to_noise(a, b))


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_error_is_that_of_the_region_and_of_its_complement_weighted_by_their_areas(seed: int) -> None:
    a, b, m = noise(seed, 2, 3, 16, 16), noise(seed + 1, 2, 3, 16, 16), soft(seed + 2, 2, 16)
    share = m.flatten(1).mean(dim=1)
    inside, outside = region.masked_mse(a, b, m), region.masked_mse(a, b, 1 - m)
    torch.testing.assert_close(share * inside + (1 - share) * outside, pixel.squared_error(a, b))


@given(levels, levels, levels, levels)
def test_half_masks_by_hand(x: float, y: float, u: float, v: float) -> None:
    a, b = torch.full((1, 3, 4, 4), x, dtype=torch.float64), torch.full((1, 3, 4, 4), y, dtype=torch.float64)
    a[..., 2:], b[..., 2:] = u, v
    half = left_half(4)
    assert region.masked_mse(a, b, half).item() == pytest.approx((x - y) ** 2, abs=1e-12)
    assert region.masked_mse(a, b, 1 - half).item() == pytest.approx((u - v) ** 2, abs=1e-12)
    assert region.masked_mse_code(a, b, half).item() == pytest.approx((x - y) ** 2 / 2, abs=1e-12)
    # A soft mask counts once in the one form and squared in the other.
    assert region.masked_mse(a, b, half / 2).item() == pytest.approx((x - y) ** 2, abs=1e-12)
    assert region.masked_mse_code(a, b, half / 2).item() == pytest.approx((x - y) ** 2 / 8, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_values_lie_in_their_ranges_and_the_released_codes_form_is_the_smaller(seed: int) -> None:
    a, b, m = noise(seed, 2, 3, 8, 8).sign(), noise(seed + 1, 2, 3, 8, 8), soft(seed + 2, 2, 8)
    mean, code, decibels = (each(a, b, m) for each in (region.masked_mse, region.masked_mse_code, region.masked_psnr))
    assert (mean >= 0).all() and (mean <= 4).all() and (decibels >= 0).all() and (decibels <= pixel.PSNR_CAP).all()
    assert (code <= mean * m.flatten(1).mean(dim=1) + 1e-12).all()
    assert region.masked_psnr(a, a, m).tolist() == [pixel.PSNR_CAP] * 2


def test_the_order_of_the_images_does_not_matter_and_pixels_without_weight_do_not_count(random_lpips: Lpips) -> None:
    a, b, m = noise(0, 1, 3, 64, 64), noise(1, 1, 3, 64, 64), left_half()
    other = torch.where(m.bool(), a, noise(2, 1, 3, 64, 64))
    for distance in (region.masked_mse, region.masked_mse_code, region.masked_psnr, region.masked_lpips_alex):
        torch.testing.assert_close(distance(a, b, m), distance(b, a, m))
        torch.testing.assert_close(distance(a, b, m), distance(other, b, m))
    # The map's features look across the border, so that it does change, and says so.
    assert not torch.allclose(region.spatial_lpips_alex(a, b, m), region.spatial_lpips_alex(other, b, m))
    assert "beyond the region" in registry.load("lpips_alex_interest_spatial").info.recipe


def test_an_empty_mask_is_a_mean_over_nothing() -> None:
    a, b, empty = noise(0, 1, 3, 8, 8), noise(1, 1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    assert region.masked_mse(a, b, empty).isnan().all() and region.masked_psnr(a, b, empty).isnan().all()


def test_masked_error_has_the_gradient_of_its_formula() -> None:
    a, b, m = noise(0, 1, 3, 6, 6).requires_grad_(), noise(1, 1, 3, 6, 6), soft(2, 1, 6)
    (gradient,) = torch.autograd.grad(region.masked_mse(a, b, m).sum(), a)
    torch.testing.assert_close(gradient, 2 * m * (a - b).detach() / (3 * m.sum()))


def test_masked_lpips_is_lpips_of_the_products(random_lpips: Lpips) -> None:
    a, b, m = noise(0, 2, 3, 64, 64), noise(1, 2, 3, 64, 64), soft(2)
    torch.testing.assert_close(region.masked_lpips_alex(a, b, m), random_lpips(a * m, b * m))
    full = torch.ones_like(m)
    torch.testing.assert_close(region.masked_lpips_alex(a, b, full), random_lpips(a, b))


@pytest.mark.parametrize("side", [64, 100])
def test_the_map_is_the_authors_spatial_option(random_lpips: Lpips, side: int) -> None:
    a, b, m = noise(0, 2, 3, side, side), noise(1, 2, 3, side, side), soft(2, 2, side)
    theirs = random_lpips.module
    theirs.spatial = True
    try:
        wanted = theirs(a, b)
    finally:
        theirs.spatial = False
    torch.testing.assert_close(random_lpips.spatial(a, b), wanted)
    mean = (wanted * m).flatten(1).sum(dim=1) / m.flatten(1).sum(dim=1)
    torch.testing.assert_close(region.spatial_lpips_alex(a, b, m), mean)


def test_the_map_is_large_where_the_images_differ(random_lpips: Lpips) -> None:
    a = noise(0, 1, 3, 64, 64)
    b = torch.where(left_half().bool(), a, noise(1, 1, 3, 64, 64))
    left, right = (region.spatial_lpips_alex(a, b, m) for m in (left_half(), 1 - left_half()))
    assert float(right) > 5 * float(left)


def faces() -> Tensor:
    return torch.stack([drawn_face(colour) for colour in ((0.5, 0.1, -0.1), (0.7, 0.4, 0.2))])


def test_metrics_take_the_region_of_the_target() -> None:
    targets = faces()
    images = (targets + 0.3 * noise(0, 2, 3, 64, 64).float()).clamp(-1, 1)
    mask, reasons = regions.load_parser("landmark_ellipse")(targets)
    assert reasons == ("", "")
    wanted = {
        "mse_interest": region.masked_mse(images, targets, mask),
        "mse_interest_code": region.masked_mse_code(images, targets, mask),
        "mse_outside": region.masked_mse(images, targets, 1 - mask),
        "psnr_interest": region.masked_psnr(images, targets, mask),
        "psnr_outside": region.masked_psnr(images, targets, 1 - mask),
    }
    for name, values in wanted.items():
        torch.testing.assert_close(registry.load(name)(images, targets), values)
    assert registry.load("mse_outside")(images, targets).tolist() != registry.load("mse_outside")(targets, images)


def test_more_error_in_the_face_shows_inside_and_not_outside() -> None:
    targets = faces()
    images = targets.clone()
    images[..., 28:44, 24:40] = 0
    for name, changed in (("mse_interest", True), ("mse_outside", False)):
        assert bool((registry.load(name)(images, targets) > 0).all()) is changed
    assert registry.load("psnr_outside")(images, targets).tolist() == [pixel.PSNR_CAP] * 2
    assert (registry.load("psnr_interest")(images, targets) < 40).all()


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_metrics_are_orientated_and_in_range_on_drawn_faces(seed: int) -> None:
    targets, grain = faces(), noise(seed, 2, 3, 64, 64).float()
    for name in ("mse_interest", "mse_interest_code", "mse_outside", "psnr_interest", "psnr_outside"):
        metric = registry.load(name)
        values = torch.stack([metric((targets + s * grain).clamp(-1, 1), targets) for s in (0, 0.1, 0.5)])
        steps = values.diff(dim=0) if metric.info.direction == "lower" else -values.diff(dim=0)
        low, high = metric.info.range
        assert (steps > 0).all() and (values >= low).all() and (values <= high).all()


def test_a_target_without_a_face_is_a_row_without_a_value_that_says_why() -> None:
    good, bad = drawn_face(), torch.zeros(3, 64, 64)
    scores = [measure(registry.load("mse_interest"), "a", good, target) for target in (good, bad)]
    assert [(score.value, score.status, score.reason) for score in scores] == [
        (0.0, "ok", ""),
        (None, "undefined", "no face found in the target (region landmark_ellipse)"),
    ]


class Counting:
    """A parser that finds a region everywhere and counts the images that it reads."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        self.seen += len(images)
        return torch.ones_like(images[:, :1]), ("",) * len(images)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    parser = Counting()
    whole = regions.RegionParser("whole", "everything", parser)
    monkeypatch.setattr(region, "load_parser", lambda name: whole)
    monkeypatch.setattr(region, "_masks", type(region._masks)())
    return parser


def test_a_target_is_parsed_once(counting: Counting) -> None:
    targets = faces()
    for _ in range(3):
        masks, reasons = region.target_masks(targets, "whole")
    region.target_masks(targets[1:], "whole")
    assert counting.seen == 2 and masks.shape == (2, 1, 64, 64) and reasons == ("", "")
    region.target_masks(torch.cat([targets[:1], targets[:1] + 0.1, targets[:1] + 0.1]).clamp(-1, 1), "whole")
    assert counting.seen == 3
    region.target_masks(targets.double(), "whole")  # another type may give another mask
    assert counting.seen == 5


def test_masks_are_kept_up_to_a_limit_and_the_oldest_leave_first(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region, "CACHE_BYTES", 2 * 64 * 64 * 4)
    a, b, c = (torch.full((1, 3, 64, 64), value) for value in (0.1, 0.2, 0.3))
    region.target_masks(a, "whole")
    region.target_masks(b, "whole")
    region.target_masks(a, "whole")
    region.target_masks(c, "whole")  # b leaves
    assert counting.seen == 3
    region.target_masks(a, "whole")
    assert counting.seen == 3
    region.target_masks(b, "whole")
    assert counting.seen == 4
    masks, _ = region.target_masks(torch.cat([a, b, c]), "whole")  # more at once than are kept
    assert masks.shape == (3, 1, 64, 64) and masks.all()


def test_nothing_outside_the_region_is_a_reason(counting: Counting) -> None:
    metric = region.metric("mse_outside")
    assert metric.undefined is not None and metric(faces(), faces()).isnan().all()
    assert metric.undefined(faces())[0] == "nothing of the target lies outside the region (landmark_ellipse)"


def test_the_parser_is_in_the_recipe_and_another_one_in_the_name() -> None:
    assert "landmark_ellipse" in registry.load("lpips_alex_interest").info.recipe
    metric = registry.load("lpips_alex_interest_bisenet")
    assert "bisenet" in metric.info.recipe and "bisenet" in metric.info.title and "BiSeNet" in metric.info.shared
    assert metric.asset == "lpips_alex" and metric.region == "bisenet"


def test_the_definition_of_a_region_is_said_once_for_all_of_its_metrics() -> None:
    infos = [registry.load(name).info for name in region.KINDS] + [each.info for each in occlusion_metrics()[:3]]
    (shared,) = {info.shared for info in infos}
    assert regions.load_parser("landmark_ellipse").recipe in shared
    assert all("half axes" not in info.recipe and "(landmark_ellipse)" in info.recipe for info in infos)
    assert {registry.load(name).info.group for name in region.KINDS} == {"interest region"}


def test_missing_names_the_parsers_weights(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("INVERSION_BENCH_WEIGHTS", raising=False)
    assert registry.missing("mse_interest") is None
    reason = registry.missing("mse_interest_bisenet")
    assert reason is not None and reason.startswith("mse_interest_bisenet needs the asset 'bisenet'")


def test_an_unknown_region_metric_names_the_near_miss() -> None:
    with pytest.raises(KeyError, match="did you mean 'mse_interest'"):
        region.metric("mse_intrest")


def test_masks_follow_the_images_type() -> None:
    masks, _ = region.target_masks(faces().double())
    assert masks.dtype == torch.float64 and np.isclose(float(masks[0].mean()), 0.67, atol=0.1)
