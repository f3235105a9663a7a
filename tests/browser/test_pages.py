"""Every view of an ordinary run, and pictures under names that would do something if they were markup."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import simulated
from tests.browser.conftest import Opener, ready

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e '.[dev]'")
from playwright.sync_api import expect

from tests.browser.test_dashboard import VIEWS, loaded


def test_every_view_opens_from_the_disk(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary)
    expect(page).to_have_title("A simulated run")
    for view in VIEWS:
        page.locator("nav a", has_text=view.capitalize()).click()
        ready(page, view)
        assert page.locator("main").inner_text().strip()
    expect(page.locator("pre").last).to_contain_text('"folder": "else"')  # a path keeps its name only
    page.go_back()
    ready(page, "failures")


def test_hostile_images_load_and_open(hostile: Path, opener: Opener) -> None:
    page = opener(hostile, "images")
    names = page.locator(".sheet tbody th .note").all_inner_texts()
    assert set(names) == set(simulated.HOSTILE_IMAGES) | {f"im{place}" for place in range(6)}
    assert loaded(page, ".sheet img") == 11 * (1 + sum("/" not in name for name in simulated.HOSTILE_METHODS))
    for name in simulated.HOSTILE_IMAGES:
        page.locator(".sheet tbody tr", has_text=name).locator(".tile").first.click()
        expect(page.locator("#viewer h2")).to_have_text(name)
        assert page.locator("#viewer script, #viewer b, #viewer [onmouseover]").count() == 0
        loaded(page, "#viewer img")
        page.keyboard.press("Escape")


def test_cells_on_a_phone_hold_words_and_heads_stay(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "about", 390)
    narrow = "cells => cells.filter(c => c.innerText.trim() && c.offsetWidth < 48).map(c => c.innerText)"
    assert page.locator("td.text").evaluate_all(narrow) == [], "letters below one another"
    page = opener(ordinary, "table")
    scroll, head = page.locator(".scroll").first, page.locator(".scroll thead").first
    scroll.evaluate("box => { box.style.maxHeight = '120px'; box.scrollTop = 60; }")
    scroll_box, head_box = scroll.bounding_box(), head.bounding_box()
    assert scroll_box and head_box and abs(head_box["y"] - scroll_box["y"]) < 2


def test_print_has_the_content_alone_on_white(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "table", theme="dark")
    page.emulate_media(media="print")
    for gone in ("nav", ".controls", "#theme"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator(".scroll").first).to_have_css("overflow-x", "visible")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("td.best .value").first).to_be_visible()
