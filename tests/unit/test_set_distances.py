"""Distances of sets by shares: known values, the library's own, and intervals as resampling gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from datasets.images import read_rgb, save_png, to_image, to_tensor
from metrics import registry, set_distances
from metrics.base import SetMetric, Undefined
from metrics.distribution import FrechetDistance
from metrics.identity import nearest_is_own
from metrics.networks.inception import load_inception
from metrics.set_distances import (
    LEAST_FRECHET,
    frechet_distance,
    frechet_influences,
    kernel_influences,
    moments,
    of_halves,
    sliced_influences,
)

torch_fidelity = pytest.importorskip("torch_fidelity")


def draws(n: int, width: int, seed: int = 0, spread: float = 1.0, shift: float = 0.0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=stream, dtype=torch.float64) * spread + shift


def test_equal_sets_are_at_no_distance() -> None:
    x = draws(12, 5)
    torch.testing.assert_close(frechet_influences(x, x), torch.zeros(12, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(frechet_influences(x, x.flip(0)).mean(), torch.zeros((), dtype=torch.float64), rtol=0,
                               atol=1e-9)  # fmt: skip


def test_two_gaussians_have_the_known_distance() -> None:
    """Standard deviations 1 and 3 in each of two directions, means 2 apart: 2 (3 - 1)^2 + 4, up to sampling."""
    n = 200_000
    found = float(frechet_influences(draws(n, 2), draws(n, 2, 1, 3.0, 2**0.5)).mean())
    assert found == pytest.approx(12, rel=0.02)


@pytest.mark.parametrize(("n", "width"), [(30, 4), (6, 20)])
def test_distances_are_torch_fidelitys(n: int, width: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = draws(n, width), draws(n, width, 1, 1.5, 0.3)
    stats = [fid_features_to_statistics(side) for side in (a, b)]
    known = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    # Where n < D, their eigenvalues of a singular product are rounding noise of both signs.
    assert float(frechet_influences(a, b).mean()) == pytest.approx(known, rel=1e-6 if n < width else 1e-12)
    known = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=n, verbose=False)
    assert float(kernel_influences(a, b).mean()) == pytest.approx(
        1000 * known["kernel_inception_distance_mean"], rel=1e-9
    )


@pytest.mark.parametrize("shares", [frechet_influences, kernel_influences, sliced_influences])
def test_shares_spread_as_the_jackknife(shares, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving one pair out at a time, the classical way, at n distances instead of one."""
    monkeypatch.setattr(set_distances, "DIRECTIONS", 100)
    n = 200
    a, b = draws(n, 3), draws(n, 3, 1, 1.3, 0.4)
    found = shares(a, b)
    keep = ~torch.eye(n, dtype=torch.bool)
    without = torch.stack([shares(a[rows], b[rows]).mean() for rows in keep])
    pseudo = n * found.mean() - (n - 1) * without
    assert float(torch.corrcoef(torch.stack([found, pseudo]))[0, 1]) > 0.999
    assert float(found.std()) == pytest.approx(float(pseudo.std()), rel=0.05)


def test_a_sliced_distance_is_that_of_sorted_projections() -> None:
    """In one dimension: sorted differences, squared; a shift s of D dimensions is s^2 / D to each direction."""
    a, b = draws(40, 1), draws(40, 1, 1, 1.5, 0.3)
    known = (a.sort(dim=0).values - b.sort(dim=0).values).square().mean()
    assert float(sliced_influences(a, b).mean()) == pytest.approx(float(known))
    assert float(sliced_influences(a, a.flip(0)).abs().max()) == pytest.approx(0, abs=1e-12)
    x, shift = draws(30, 16), torch.zeros(16, dtype=torch.float64)
    shift[3] = 4.0
    assert float(sliced_influences(x, x + shift).mean()) == pytest.approx(16 / 16, rel=0.1)


def test_halves_of_real_images_have_the_distance_between_them() -> None:
    targets = draws(9, 3)
    found = of_halves(frechet_influences, targets)
    assert found.shape == (9,)
    assert float(found.mean()) == pytest.approx(float(frechet_influences(targets[0:8:2], targets[1:8:2]).mean()))


def test_a_frechet_distance_of_few_real_images_is_far_from_zero() -> None:
    """Why the column is n/a: of one distribution, the distance falls as 1/n, while the kernel distance stays at 0."""
    found = {n: float(frechet_influences(draws(n, 200), draws(n, 200, 1)).mean()) for n in (12, LEAST_FRECHET, 400)}
    assert found[12] > 1.3 * found[LEAST_FRECHET] > 2 * found[400] > 0
    fid, kid, rank = (registry.find(name) for name in ("fid_inception_torchfidelity_256",
                                                       "kid_inception_torchfidelity_256", "rank1_sface"))  # fmt: skip
    assert isinstance(fid, SetMetric) and isinstance(kid, SetMetric) and isinstance(rank, SetMetric)
    assert (fid.least, kid.least, rank.least) == (LEAST_FRECHET, 2, 2)
    assert fid.real and kid.real and not rank.real and "negative" in kid.info.recipe


def test_a_distance_that_is_accumulated_is_that_of_all_at_once() -> None:
    """In batches, with the reference computed once and the other side cleared."""
    distance = FrechetDistance(lambda images: images.flatten(1), dim=4)
    real, fake = (draws(60, 4, seed, spread).view(60, 1, 2, 2) for seed, spread in ((0, 1.0), (1, 1.5)))
    distance.update_batches(real, real=True, size=25)
    with pytest.raises(ValueError, match="at least two fake images, found 0"):
        distance.compute()
    for other in (fake, fake + 1):
        distance.reset()
        distance.update_batches(other, real=False, size=25)
        wanted = frechet_distance(*moments(real.flatten(1)), *moments(other.flatten(1)))
        torch.testing.assert_close(distance.compute(), wanted)


def test_too_few_or_unlike_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two images, found 1"):
        frechet_influences(draws(1, 4), draws(1, 4))
    with pytest.raises(ValueError, match=r"found \[3, 4\] and \[2, 4\]"):
        kernel_influences(draws(3, 4), draws(2, 4))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under the names that torch-fidelity's file has."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Shapes(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            raise StopIteration(self)

    empty = tmp_path_factory.mktemp("weights") / "empty.pth"
    torch.save({}, empty)
    with torch.device("meta"), pytest.raises(StopIteration) as caught:
        Shapes("inception-v3-compat", ["2048"], str(empty))
    stream = torch.Generator().manual_seed(0)
    state = {}
    for key, value in caught.value.value.state_dict().items():
        size = value.shape
        scale = (2 / size[1:].numel()) ** 0.5 if len(size) > 1 else 0.1
        drawn = torch.randn(size, generator=stream) * scale
        state[key] = 1 + drawn.abs() if key.endswith(("bn.weight", "running_var")) else drawn
    path = empty.with_name("weights-inception-2015-12-05-6726825d.pth")
    torch.save(state, path)
    return path


@pytest.mark.slow
def test_the_whole_recipe_is_torch_fidelitys(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(weights.parent))
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    stream = torch.Generator().manual_seed(0)
    sets = []
    for name, scale in (("targets", 1.0), ("images", 0.8)):
        coarse = (torch.rand(2, 3, 8, 8, generator=stream) * 2 - 1) * scale
        (tmp_path / name).mkdir()
        for n, image in enumerate(torch.nn.functional.interpolate(coarse, size=(1024, 1024), mode="nearest")):
            save_png(to_image(image.clamp(-1, 1)), tmp_path / name / f"{n}.png")
        files = sorted((tmp_path / name).iterdir())
        sets.append(torch.stack([to_tensor(read_rgb(file)) for file in files]))
    known = torch_fidelity.calculate_metrics(
        input1=str(tmp_path / "images"), input2=str(tmp_path / "targets"), cuda=False, kid=True,
        kid_subsets=1, kid_subset_size=2, feature_extractor_weights_path=str(weights), verbose=False, cache=False,
        batch_size=2, save_cpu_ram=True,
    )  # fmt: skip
    fid, kid = (registry.find(f"{name}_inception_torchfidelity_1024") for name in ("fid", "kid"))
    assert isinstance(fid, SetMetric) and isinstance(kid, SetMetric) and fid.network == kid.network
    assert registry.missing(kid.info.name) is None
    features = kid.features()
    targets, images = (features(batch) for batch in sets)
    wanted = 1000 * known["kernel_inception_distance_mean"]
    assert float(kid.influences(images, targets).mean()) == pytest.approx(wanted, rel=1e-4)
    assert float(fid.influences(images, targets).mean()) > 0
    with pytest.raises(Undefined, match="at 1024 px, these images have 256"):
        features(sets[0][..., :256, :256])


def test_other_weights_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: not torch-fidelity's Inception"):
        load_inception(tmp_path / "other.pth")
    (tmp_path / "code.pth").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"code\.pth: a text, not weights"):
        load_inception(tmp_path / "code.pth")
    monkeypatch.setenv("INVERSION_BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("INVERSION_BENCH_CACHE", str(tmp_path / "cache"))
    reason = registry.missing("fid_inception_torchfidelity_256")
    assert reason is not None and "weights-inception-2015-12-05-6726825d.pth" in reason and "6726825d" in reason


def test_descriptions_name_the_recipe() -> None:
    for name in registry.set_names():
        info = registry.find(name).info
        assert info.name == name
        if "inception" in name:
            assert "torch-fidelity" in info.title and name.rsplit("_", 1)[1] in info.title
        with pytest.raises(KeyError, match="a metric of sets"):
            registry.load(name)


def test_rank1_counts_images_that_are_nearest_to_their_own_target() -> None:
    targets = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), dim=1)
    images = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.9], [1.0, 1.0]]), dim=1)
    assert nearest_is_own(images, targets).tolist() == [1, 0, 1]
    images[0] = torch.nan  # no face
    assert nearest_is_own(images, targets).tolist() == [0, 0, 1]
    assert registry.find("rank1_sface").info.direction == "higher"
