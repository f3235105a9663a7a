"""The registry of names: tables, objects by import, entry points, near misses; and what costs no import of torch."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from inversion_bench import registry as core
from inversion_bench.registry import Registry, UnknownNameError, call, load_object, near_miss, search_beside

GROUP = "example.shapes"


@pytest.fixture
def shapes() -> Registry:
    table = {"circle": "math:pi", "root": "math:pow:2"}
    return Registry("shape", table, GROUP, aliases={"disc": "circle"})


def install(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    found = [EntryPoint(name, value, GROUP) for name, value in points.items()]
    monkeypatch.setattr(core, "entry_points", lambda group: found if group == GROUP else [])


def test_a_name_is_of_the_table_an_alias_or_an_object(shapes: Registry) -> None:
    assert shapes.get("circle") == shapes.get("disc") == shapes.get("math:pi") == pytest.approx(3.14159, abs=1e-5)
    assert "circle" in shapes and "disc" in shapes and "any.module:Name" in shapes and "square" not in shapes


def test_a_target_may_have_arguments() -> None:
    assert load_object("operator:concat:a")("b") == "ab"


def test_an_unknown_name_has_the_near_miss_and_the_known_ones(shapes: Registry) -> None:
    with pytest.raises(UnknownNameError) as caught:
        shapes.get("cirkle")
    assert str(caught.value) == "unknown shape 'cirkle': did you mean 'circle'? known: circle, root"
    assert isinstance(caught.value, KeyError) and isinstance(caught.value, ValueError)
    assert near_miss("square", ["circle"]) == ""


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("math", "names no object; expected package.module:Name"),
        (":pi", "names no object"),
        ("math:", "names no object"),
        ("no_such_module:f", "'no_such_module:f' cannot be imported .ModuleNotFoundError"),
        ("math:no_such_function", "cannot be imported .AttributeError"),
    ],
)
def test_a_target_that_cannot_be_imported_is_named(target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_object(target)


def test_entry_points_add_names_after_the_table(shapes: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, triangle="math:e")
    assert shapes.names() == ["circle", "root", "triangle"] and "triangle" in shapes
    assert shapes.get("triangle") == pytest.approx(2.71828, abs=1e-5)


def test_an_entry_point_may_not_take_a_name_of_the_table(shapes: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, circle="math:e")
    with pytest.raises(ValueError, match="two packages register a shape called 'circle'"):
        shapes.names()


def test_a_name_of_the_table_may_not_change_its_meaning(shapes: Registry) -> None:
    shapes.register("tau", "math:e")
    shapes.register("tau", "math:tau")
    assert shapes.names()[-1] == "tau" and shapes.get("tau") == pytest.approx(6.28319, abs=1e-5)
    shapes.register("circle", "math:pi")
    for name in ("circle", "disc"):
        with pytest.raises(ValueError, match=f"math:e is a shape called '{name}', as is math:pi"):
            shapes.register(name, "math:e")


def test_options_are_checked_against_the_signature() -> None:
    def build(side: int, count: int = 1) -> int:
        return side * count

    assert call(build, "shape 'square'", {"side": 3, "count": 2}) == 6
    with pytest.raises(TypeError, match="shape 'square' has no option 'cuont': did you mean 'count'"):
        call(build, "shape 'square'", {"side": 3, "cuont": 2})
    with pytest.raises(TypeError, match="shape 'square' needs the option 'side'"):
        call(build, "shape 'square'", {})


def test_a_folder_is_searched_once_and_last(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = len(sys.path)
    search_beside(tmp_path / "suite.yaml")
    search_beside(tmp_path / "other.yaml")
    assert sys.path[before:] == [str(tmp_path)]


def test_names_cost_no_import_of_torch() -> None:
    code = (
        "import sys, methods, metrics, datasets, reports, methods.generators\n"
        "assert methods.names() and metrics.names() and datasets.names()\n"
        "heavy = {'torch', 'pytorch_lightning', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
