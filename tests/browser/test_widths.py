"""Every view at the width of a desktop, a tablet and a phone, light and dark, and as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import Opener, ready

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e '.[dev]'")
from playwright.sync_api import Page, expect

from tests.browser.test_dashboard import VIEWS, charted

pytestmark = pytest.mark.slow
DESKTOP, TABLET, PHONE = 1280, 768, 360
A4 = 1047  # px of a page on its side between margins of 1 cm
NARROW = "cells => cells.filter(c => c.innerText.trim().length > 3 && c.offsetWidth < 48).map(c => c.innerText)"
OWN_TEXT = "all => all.flatMap(e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()))"
# Pairs of things to read or press that lie over one another; what scrolls does so under heads on purpose.
OVERLAPS = """() => {
  const shown = [...document.querySelectorAll("h1, header select, header button, nav a, main h2, main h3, main p,"
    + ".controls label, .exports button, .pager button, summary")]
    .filter((each) => each.checkVisibility() && each.closest(".scroll") === null);
  const boxes = shown.map((each) => each.getBoundingClientRect());
  const found = [];
  for (let i = 0; i < shown.length; i++) for (let j = i + 1; j < shown.length; j++) {
    if (shown[i].contains(shown[j]) || shown[j].contains(shown[i])) continue;
    const [a, b] = [boxes[i], boxes[j]];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1) found.push([shown[i], shown[j]].map((each) => each.textContent.slice(0, 40)).join(" / "));
  }
  return found;
}"""


def turn_to(page: Page, view: str) -> None:
    page.evaluate("view => { location.hash = view; }", view)
    ready(page, view)
    if view == "charts":
        charted(page)
    if view in ("overview", "images"):
        page.wait_for_function("document.querySelectorAll('main img').length > 0")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, TABLET, PHONE])
def test_every_view_fits(ordinary: Path, opener: Opener, width: int, theme: str) -> None:
    page = opener(ordinary, width=width, theme=theme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in re.findall(r"\d+", background)[:3]) < 128) == (theme == "dark")
    for view in VIEWS:
        turn_to(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert page.locator("td.text, th.name, th.text").evaluate_all(NARROW) == [], f"{view}: one letter a line"
        assert page.evaluate(OVERLAPS) == [], view
        assert "null" not in page.locator("main > .view > *, main > .view").evaluate_all(OWN_TEXT), view
        if width == PHONE:
            assert page.evaluate("document.documentElement.scrollHeight") < 10 * 844, f"{view}: ten screens of a phone"
    turn_to(page, "images")
    page.locator(".sheet .tile").first.click()
    assert page.evaluate("document.getElementById('viewer').scrollWidth") <= width


@pytest.mark.parametrize("view", VIEWS)
def test_print_is_whole_on_white(ordinary: Path, opener: Opener, view: str) -> None:
    page = opener(ordinary, view, width=A4, theme="dark")
    if view == "charts":
        charted(page)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("nav")).to_be_hidden()
    cut = "boxes => boxes.filter(b => b.checkVisibility() && getComputedStyle(b).overflowX !== 'visible').length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= A4, "cut off at the edge of the paper"
    dark = page.evaluate("getComputedStyle(document.querySelector('main')).color")
    assert sum(int(part) for part in re.findall(r"\d+", dark)[:3]) < 128
