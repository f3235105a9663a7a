"""Screenshots of a run's dashboard at desktop and phone width: `python -m reports.screenshots DIR OUT [--set NAME]`.

Needs Playwright (`pip install playwright`; no browser of its own) and a Chromium on the PATH (`make browser` installs
Debian's).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
VIEWS = ("overview", "table", "charts", "images")
PATIENCE_MS = 60_000


def browser_path() -> str | None:
    """Path of the system's Chromium: $CHROMIUM or the first of BROWSERS on the PATH; None without one."""
    return os.environ.get("CHROMIUM") or next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless. Raises RuntimeError with what to install."""
    path = browser_path()
    if path is None:
        raise RuntimeError(f"expected one of {', '.join(BROWSERS)} on the PATH, found none: run `make browser`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise RuntimeError("expected Playwright, found none: pip install playwright") from error
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root; the pages are this project's own.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        try:
            yield browser
        finally:
            browser.close()


def take(directory: Path, out: Path, dataset: str = "", theme: str = "light") -> list[Path]:
    """Write OUT/dashboard-<view>-<width>.png of every view of DIR/report/index.html and of the viewer.

    Args:
        directory: a run that has a report.
        out: folder of the screenshots.
        dataset: the data set to show; the first by default.
        theme: "light" or "dark".

    Returns:
        The paths written.

    Raises:
        FileNotFoundError: the run has no report.
    """
    page_file = (directory / "report" / "index.html").resolve()
    if not page_file.is_file():
        raise FileNotFoundError(
            f"expected {page_file}, found none: python -m benchmarks report SUITE --out {directory}"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with chromium() as browser:
        for width, (wide, high) in WIDTHS.items():
            context = browser.new_context(
                viewport={"width": wide, "height": high},
                color_scheme="dark" if theme == "dark" else "light",
                device_scale_factor=1 if width == "desktop" else 2,
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            for view in (*VIEWS, "viewer"):
                query = f"?{urlencode({'set': dataset})}" if dataset else ""
                page.goto(f"{page_file.as_uri()}#{'images' if view == 'viewer' else view}{query}")
                page.reload()  # a change of the fragment alone would keep the page
                page.wait_for_function("document.documentElement.dataset.ready !== undefined")
                if view == "charts":
                    page.wait_for_selector(".plot .main-svg")
                if view == "viewer":
                    page.locator(".sheet tbody .tile").nth(1).click()
                page.wait_for_load_state("networkidle")
                written.append(out / f"dashboard-{view}-{width}.png")
                page.screenshot(path=written[-1])
            context.close()
    return written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.screenshots", description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder of a run that has a report")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the screenshots")
    parser.add_argument("--set", default="", metavar="NAME", help="data set to show; default: the first")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    options = parser.parse_args(arguments)
    try:
        for path in take(options.directory, options.out, options.set, options.theme):
            print(path)
    except (RuntimeError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
