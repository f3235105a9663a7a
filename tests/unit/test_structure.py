"""The order of the house: which package may import which, how deep imports go, how long a file is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each package may import, itself included.
MAY_IMPORT = {
    "inversion_bench": {"inversion_bench"},
    "datasets": {"inversion_bench", "datasets"},
    "metrics": {"inversion_bench", "datasets", "metrics"},
    "methods": {"inversion_bench", "datasets", "metrics", "methods"},
    "reports": {"inversion_bench", "reports"},
    "benchmarks": {"inversion_bench", "datasets", "metrics", "methods", "reports", "benchmarks"},
}
MOST_LINES = 350
MOST_FLOORS = 9

Graph = dict[str, set[str]]


@cache
def files() -> dict[str, Path]:
    """The product's modules by name; a package's name is that of its `__init__`."""
    found = {}
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(node: ast.AST, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below a node, without those for type checkers. lazy: also those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from (each for part in child.orelse for each in imports(part, lazy))
        elif lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, lazy)


@cache
def graph(lazy: bool) -> Graph:
    """The product's modules that each module imports by name."""
    edges: Graph = {}
    for module, path in files().items():
        edges[module] = set()
        for each in imports(ast.parse(path.read_text()), lazy):
            if isinstance(each, ast.Import):
                named = [alias.name for alias in each.names]
            else:
                assert each.level == 0 and each.module, f"{path}: imports are absolute"
                members = [f"{each.module}.{alias.name}" for alias in each.names]
                named = [name if name in files() else each.module for name in members]
            edges[module] |= {name for name in named if name in files() and name != module}
    return edges


def test_the_reader_of_imports_sees_them() -> None:
    code = (
        "import a\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b\n"
        "try:\n    import c\nexcept ImportError:\n    import d\ndef f():\n    import e\n"
    )
    seen = {lazy: {ast.unparse(each) for each in imports(ast.parse(code), lazy)} for lazy in (False, True)}
    assert seen[False] == {"import a", "from typing import TYPE_CHECKING", "import c", "import d"}
    assert seen[True] - seen[False] == {"import e"}
    assert len(files()) > 150 and "torch" not in graph(True)
    assert "inversion_bench.registry" in graph(False)["metrics.registry"]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in graph(lazy=True).items()
        for name in sorted(names)
        if module.split(".")[0] == package and name.split(".")[0] not in MAY_IMPORT[package]
    ]
    assert not wrong


@pytest.mark.parametrize("lazy", [False, True], ids=["at the top", "in functions, too"])
def test_there_are_no_import_cycles(lazy: bool) -> None:
    try:
        TopologicalSorter(graph(lazy)).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_imports_of_benchmarks_are_shallow() -> None:
    edges = {module: names for module, names in graph(lazy=False).items() if module.startswith("benchmarks.")}

    @cache
    def path(module: str) -> tuple[str, ...]:
        """The longest chain of imports that ends at a module."""
        below = max((path(name) for name in edges[module] if name in edges), key=len, default=())
        return (*below, module)

    deepest = max(map(path, edges), key=len)
    assert len(deepest) <= MOST_FLOORS, " <- ".join(deepest)


def test_no_file_is_too_long_to_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files().values()}
    assert not {name: length for name, length in lengths.items() if length > MOST_LINES}


def test_help_loads_no_torch() -> None:
    code = (
        "import runpy, sys\nsys.argv = ['benchmarks', '--help']\n"
        "try:\n    runpy.run_module('benchmarks', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_pictures_lie_only_where_they_are_shown() -> None:
    """No photograph of a cache enters a commit, nor an archive of any."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    pictures = [name for name in listed.stdout.splitlines() if re.search(r"\.(png|jpe?g|webp|gif|bmp|zip|tgz)$", name)]
    shown = re.compile(r"docs/|methods/(editing|encoders|generators)/weights/")
    assert [name for name in pictures if not shown.match(name)] == []
    assert [name for name in listed.stdout.splitlines() if name.startswith(".device")] == []
