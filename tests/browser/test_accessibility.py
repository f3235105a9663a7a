"""Every view by axe-core, the rules of accessibility that a program can check; npm fetches it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from reports import leaderboard
from tests.browser.conftest import Opener, ready

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e '.[dev]'")
from playwright.sync_api import Page

pytestmark = pytest.mark.slow
VIEWS = ("overview", "table", "charts", "images", "failures", "about")
VIOLATIONS = """async () => (await axe.run(document, { preload: false })).violations.map(
    ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`)"""
SIZES = [(1280, "light"), (1280, "dark"), (768, "light"), (390, "dark")]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of axe-core; skips where npm cannot fetch it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        ["npm", "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    archives = list(folder.glob("axe-core-*.tgz"))
    if done.returncode or not archives:
        pytest.skip(f"npm cannot fetch axe-core: {done.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        found = archive.extractfile("package/axe.min.js")
        assert found is not None
        return found.read().decode("utf-8")


def violations(page: Page, axe: str, views: Iterable[str]) -> dict[str, list[str]]:
    """What axe-core finds in views of a page, all details open, and in the viewer of an image."""
    page.evaluate(axe)
    found = {}
    for view in views:
        page.evaluate("view => { location.hash = view; }", view)
        ready(page, view)
        if view == "charts":
            page.locator(".plot .main-svg").first.wait_for()
        page.evaluate("for (const each of document.querySelectorAll('#view details')) each.open = true")
        found[view] = page.evaluate(VIOLATIONS)
        if view == "images":
            page.locator(".sheet .tile").first.click()
            found["viewer"] = page.evaluate(VIOLATIONS)
            page.keyboard.press("Escape")
    return {view: problems for view, problems in found.items() if problems}


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_no_view_has_violations(ordinary: Path, opener: Opener, axe: str, width: int, theme: str) -> None:
    assert not violations(opener(ordinary, width=width, theme=theme), axe, VIEWS)


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_the_page_to_send_has_no_violations(
    ordinary: Path, opener: Opener, axe: str, tmp_path: Path, width: int, theme: str
) -> None:
    (tmp_path / "report").mkdir()
    shutil.copy(ordinary / "report" / "share.html", tmp_path / "report" / "index.html")
    views = [view for view in VIEWS if view != "charts"]
    assert not violations(opener(tmp_path, width=width, theme=theme), axe, views)


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_a_leaderboard_has_no_violations(
    ordinary: Path, opener: Opener, axe: str, tmp_path: Path, width: int, theme: str
) -> None:
    leaderboard.build([ordinary], tmp_path / "report")
    assert not violations(opener(tmp_path, "table", width, theme), axe, ["table", "about"])
