"""The dashboard of a large run answers soon; benchmarks/perf/README.md has the figures of one that is larger yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.perf.dashboard import METRICS, openings, simulate, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser

INTERACTIVE = 3.0  # seconds


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_hundred_and_seventy_thousand_inversions_are_interactive_soon(browser: Browser, tmp_path: Path) -> None:
    page_file, _, _ = write(simulate(tmp_path, methods=20, sets=3, images=2824, metrics=METRICS[:1]))
    found = openings(browser, page_file)
    assert len(found) == 6 and max(found.values()) < INTERACTIVE, found
