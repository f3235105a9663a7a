"""A page of a simulated run's dashboard, opened from the disk in the system's Chromium; skips where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports.screenshots import PATIENCE_MS, chromium
from tests.browser import simulated

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Opener = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    opened = chromium()
    try:
        started = opened.__enter__()
    except RuntimeError as error:
        pytest.skip(str(error))
    yield started
    opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated.ordinary(tmp_path_factory.mktemp("ordinary") / "a run #1")


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated.hostile(tmp_path_factory.mktemp("hostile") / "run")


@pytest.fixture
def opener(browser: Browser) -> Iterator[Opener]:
    """open(directory, view, width=1280, theme=light) -> Page; at the end no page may have said anything wrong."""
    said: list[str] = []
    contexts = []

    def open_page(directory: Path, view: str = "overview", width: int = 1280, theme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme, offline=True)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)  # for machines that are busy with something else, too
        page.on("console", lambda message: said.append(f"console {message.type}: {message.text}")
                if message.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("requestfailed", lambda request: said.append(f"request: {request.url} {request.failure}"))
        page.on("request", lambda request: said.append(f"network: {request.url}")
                if not request.url.startswith(("file:", "data:", "blob:")) else None)  # fmt: skip
        page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(f"{(directory / 'report' / 'index.html').resolve().as_uri()}#{view}")
        ready(page, view.split("?")[0])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def ready(page: Page, view: str) -> None:
    page.wait_for_selector(f"#view > .view.{view}")
