"""The notebooks run, and the outputs that they carry are those that running them gives."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from examples.execute import execute
from methods.registry import METHODS

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT = 300_000  # bytes of a notebook


def texts(notebook: dict[str, Any]) -> list[str]:
    found = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(output.get("text") or output["data"]["text/plain"]) for output in found]


@pytest.mark.parametrize("name", ["quickstart", "add_a_method"])
@pytest.mark.assets
def test_a_notebook_gives_the_outputs_that_it_carries(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = EXAMPLES / f"{name}.ipynb"
    assert path.stat().st_size < LIMIT
    carried = json.loads(path.read_text(encoding="utf-8"))
    monkeypatch.setattr(METHODS, "table", dict(METHODS.table))  # the notebook registers a method of its own
    found = execute(deepcopy(carried))
    assert carried["nbformat"] == 4 and len({cell["id"] for cell in carried["cells"]}) == len(carried["cells"])
    for here, there in zip(texts(found), texts(carried), strict=True):
        assert here.split()[:8] == there.split()[:8]  # names; values may differ in their last digit elsewhere
