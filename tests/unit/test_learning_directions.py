"""Learning and judging directions where the truth is known: attributes that are linear in the code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.cli import main
from methods.editing import export, weights
from methods.editing.directions import in_strengths
from methods.editing.evaluation import STRENGTHS, evaluate, slope, spearman
from methods.editing.learning import LearningConfig, Samples, learn, principal_components, sample
from methods.generators import load_generator, save_generator

WIDTH = 16
LIKE, UNLIKE = torch.eye(WIDTH)[0], torch.eye(WIDTH)[1]


def samples(count: int = 3000) -> Samples:
    """Of two attributes the first is 3 w0 + 1; the second goes along with both w0 and w1; some values are missing."""
    stream = torch.Generator().manual_seed(0)
    w = torch.randn(count, WIDTH, generator=stream)
    noise = 0.3 * torch.randn(count, generator=stream)
    light, turn = 3 * w[:, 0] + 1, w[:, 0] + 2 * w[:, 1] + noise
    turn[::7] = torch.nan
    return Samples(w, {"light": light.double(), "turn": turn.double()})


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


@pytest.mark.parametrize("fit", ["ridge", "boundary"])
def test_linear_attributes_are_found(fit: str) -> None:
    drawn = samples()
    config = LearningConfig(attributes=["light", "turn"], fit=fit, alpha=1.0)
    fits = learn(drawn.part(slice(2000)), drawn.part(slice(2000, None)), config)
    assert cosine(fits["light"].raw, LIKE) > 0.999 and fits["light"].r2 > 0.99 and fits["light"].accuracy > 0.99
    assert cosine(fits["turn"].raw, LIKE + 2 * UNLIKE) > 0.99
    assert fits["turn"].labelled == int((~drawn.part(slice(2000, None)).values["turn"].isnan()).sum()) < 1000
    # R2 of 5 parts signal and 0.09 parts noise.
    assert fits["turn"].r2 == pytest.approx(5 / 5.09, abs=0.01)


def test_a_direction_kept_apart_leaves_the_other_attribute_alone() -> None:
    drawn = samples()
    config = LearningConfig(attributes=["light", "turn"], alpha=1.0, orthogonal_to={"turn": ["light"]})
    fits = learn(drawn.part(slice(2000)), drawn.part(slice(2000, None)), config)
    assert abs(cosine(fits["turn"].raw, fits["light"].raw)) < 1e-6
    assert cosine(fits["turn"].raw, UNLIKE) > 0.99
    assert fits["turn"].r2 < 0.9, "the part that went along with the other attribute is gone"


def test_an_attribute_that_is_hardly_ever_read_is_named() -> None:
    drawn = samples(300)
    drawn.values["turn"][:] = torch.nan
    with pytest.raises(ValueError, match="'turn' can be read from 0 of 200 samples"):
        learn(drawn.part(slice(200)), drawn.part(slice(200, None)), LearningConfig(attributes=["light", "turn"]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fit": "svm"}, "expected 'ridge' or 'boundary'"),
        ({"evaluated": 3000}, "0 < evaluated <= held_out < samples"),
        ({"orthogonal_to": {"yaw": ["yaw"]}}, "orthogonal_to: 'yaw'"),
        ({"orthogonal_to": {"yaw": ["beard"]}}, "orthogonal_to: 'yaw'"),
    ],
)
def test_settings_that_cannot_be(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LearningConfig(**settings)


def test_slopes_and_ranks_of_known_curves() -> None:
    x = torch.tensor(STRENGTHS, dtype=torch.float64)
    curves = torch.stack([2 * x + 5, 4 * x, x * torch.nan])  # the third cannot be read
    assert slope(curves) == pytest.approx(3.0)
    assert slope(torch.where(x.abs() > 2, 100.0, curves[:2])) == pytest.approx(3.0), "only the middle counts"
    ranks = spearman(torch.stack([x.exp(), -x, torch.ones_like(x), x.abs(), x * torch.nan]))
    assert ranks.tolist() == pytest.approx([1.0, -1.0, 0.0, 0.0])


def test_a_verdict_tells_the_own_change_from_that_of_others() -> None:
    x = torch.tensor(STRENGTHS, dtype=torch.float64)
    curves = torch.stack([torch.stack([2 * x, 0.5 * x], dim=1), torch.stack([-(x**3), 0 * x], dim=1)])[None]
    (found,) = evaluate(curves, ["light"], ["light", "turn"], {"light": 4.0, "turn": 0.5})
    # Slopes of the means over the two samples, within two strengths: x (2 - x^2) / 2, and x / 4.
    expected = float((x[1:-1] ** 2 * (2 - x[1:-1] ** 2)).sum() / 2 / (x[1:-1] ** 2).sum())
    assert found.slope == pytest.approx(expected)
    assert found.entanglement == pytest.approx({"light": expected / 4, "turn": 0.5})
    assert found.of_others("light") == pytest.approx(0.5 / abs(expected / 4))
    assert (found.spearman, found.monotone, found.used, found.asked) == (0.0, 0.5, 2, 2)
    with pytest.raises(ValueError, match="light: of 2 samples none has a value"):
        evaluate(curves * torch.nan, ["light"], ["light", "turn"], {"light": 4.0, "turn": 0.5})


def test_samples_repeat_and_do_not_depend_on_how_many_are_drawn() -> None:
    generator = load_generator("toy")
    few, more = (sample(generator, ["brightness"], n, seed=3) for n in (50, 60))
    torch.testing.assert_close(few.w, more.w[:50])
    torch.testing.assert_close(few.values["brightness"], more.values["brightness"][:50])


def test_principal_components_are_ordered_and_orthonormal() -> None:
    generator = load_generator("toy")
    found = principal_components(generator, 5)
    torch.testing.assert_close(found.axes @ found.axes.T, torch.eye(5), atol=1e-5, rtol=0)
    assert (found.spreads.diff() <= 0).all()
    from methods.editing.directions import w_samples

    spread = ((w_samples(generator) - found.mean) @ found.axes[0]).std()
    torch.testing.assert_close(spread, found.spreads[0], rtol=1e-3, atol=0)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train directions` of the toy generator, end to end."""
    out = tmp_path_factory.mktemp("directions")
    settings = ["samples=300", "held_out=100", "judged=8", "components=3", "alpha=10", "generator=toy"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "KEPT", 1)  # what is kept of an identity takes most of the time
        assert main(["train", "directions", *settings, "attributes=[brightness,warmth]", "--out", str(out)]) == 0
    return out


def test_learned_directions_move_their_attributes(learned: Path) -> None:
    files = {f"directions-toy.{end}" for end in ("md", "png", "safetensors")}
    assert {path.name for path in learned.iterdir()} == files | {"log.txt"}
    generator = load_generator("toy")
    found = weights.load_directions(learned / "directions-toy.safetensors", generator)
    assert list(found) == ["brightness", "warmth"]
    for name, direction in found.items():
        assert (direction.attribute, direction.unit) == (name, "%") and direction.slope > 0
        torch.testing.assert_close(in_strengths(direction.vector, generator), direction.vector, rtol=1e-3, atol=1e-5)
        held_out = sample(generator, [name], 400, seed=99)
        projection = held_out.w @ direction.vector[0]
        assert float(torch.corrcoef(torch.stack([projection.double(), held_out.values[name]]))[0, 1]) > 0.5
    card = (learned / "directions-toy.md").read_text()
    assert "| brightness | brightness |" in card and "Entanglement" in card
    components = weights.load_components(learned / "directions-toy.safetensors", generator)
    assert len(components.axes) == 3


def test_files_that_do_not_fit_are_refused(learned: Path, tmp_path: Path) -> None:
    file, other = learned / "directions-toy.safetensors", load_generator("toy")
    with torch.no_grad():
        other.w_mean.add_(1)
        next(other.parameters()).add_(1)
    with pytest.raises(ValueError, match="learned on the generator"):
        weights.load_directions(file, other)
    with pytest.raises(FileNotFoundError, match="no directions for the generator"):
        weights.load_directions(None, other)
    with pytest.raises(FileNotFoundError, match="train directions"):
        weights.load_directions(tmp_path / "none.safetensors", other)
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"a\.safetensors: no directions of this suite"):
        weights.load_directions(tmp_path / "a.safetensors", other)
    (tmp_path / "b.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match=r"b\.safetensors: a text, not weights"):
        weights.load_directions(tmp_path / "b.safetensors", other)


def test_the_directions_that_come_with_celeba64() -> None:
    found = weights.load_directions(None, load_generator("celeba64"))
    assert list(found)[:3] == ["yaw", "pitch", "mouth_width"] and len(found) == 8
    assert all(direction.slope > 0 and math.isfinite(direction.slope) for direction in found.values())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["attributes=[beard]"], "unknown attribute 'beard'"),
        (["fit=svm"], "expected 'ridge' or 'boundary'"),
        (["sampels=3"], "'sampels' is not a setting of the training: did you mean 'samples'"),
        (["generator=nothing"], "no generator 'nothing'"),
    ],
)
def test_wrong_settings_of_the_command(settings, said, tmp_path, capsys) -> None:
    assert main(["train", "directions", *settings, "--out", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_attributes_of_faces_are_not_learned_for_other_domains(tmp_path, capsys) -> None:
    cars = load_generator("toy")
    cars.scope = type(cars.scope)("none", "cars")
    save_generator(cars, tmp_path / "cars.safetensors")
    few = ["samples=60", "held_out=20", "evaluated=2", "components=3", "alpha=10", "--out", str(tmp_path / "out")]
    for words in ([f"generator={tmp_path / 'cars.safetensors'}"], ["generator=toy", "domain=cars"]):
        assert main(["train", "directions", *words, *few]) == 2
        said = capsys.readouterr().err
        assert "attribute 'yaw' is defined for domain faces; the images are in domain cars" in said
        assert "attributes=[] gives principal components" in said
    assert main(["train", "directions", *words, *few, "attributes=[]"]) == 0
    assert "3 principal components" in capsys.readouterr().err
