import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from inversion_bench.version import version


def test_a_checkout_that_is_not_installed_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    stated = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert version() == stated
