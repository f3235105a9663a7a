"""What several modules share: the tiny suite's world, and an undivided run of it."""

import pytest

from benchmarks.cli import main
from tests.integration import tiny_suite


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    tiny_suite.build(root)
    return root


@pytest.fixture(scope="session")
def tiny_reference(tiny_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    with tiny_suite.inside(tiny_root):
        assert main(["run", str(tiny_root / "tiny.yaml"), "--out", str(out)]) == 0
    return out
