"""`python -m benchmarks.perf.dashboard`: how long the dashboard of a simulated run takes to write and to open.

By default 20 methods on 3 sets of 2,824 images: 169,440 pairs of image and method, 8 numbers each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from reports import dashboard
from reports.frame import COLUMNS, COSTS, Results, check
from reports.listings import listings
from reports.screenshots import PATIENCE_MS, chromium
from reports.tabulate import costs, means

if TYPE_CHECKING:
    from playwright.sync_api import Browser

METRICS = tuple(f"metric_{letter}" for letter in "abcdef")
WITH_PICTURES = 40  # images of each set; a browser loads only what is looked at
VIEWS = ("overview", "table", "images", "charts", "failures")


def simulate(directory: Path, methods: int, sets: int, images: int, metrics: Sequence[str] = METRICS) -> Results:
    """Checked results of random numbers, with some pictures; nothing else is written to the folder."""
    random = np.random.default_rng(0)
    names = [f"method {place}" for place in range(methods)]
    ids = np.array([f"image-{place:05}" for place in range(images)])
    parts = []
    for dataset in range(sets):
        for place, method in enumerate(names):
            for metric in (*metrics, *COSTS):
                values = 1 + 0.1 * place + random.normal(0, 0.05, images)
                parts.append(pd.DataFrame({"method": method, "dataset": f"set {dataset}", "image": ids,
                                           "metric": metric, "value": values}))  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    constant = {"suite": "simulated", "protocol": "standard", "seed": 0, "status": "ok", "reason": "", "seconds": 1.0,
                "device": "cpu", "precision": "float32", "batch_size": 8, "attempt": 1, "torch": "", "commit": "",
                "metric_version": 1, "method_version": 1}  # fmt: skip
    rows = rows.assign(**constant)[list(COLUMNS)]  # type: ignore[arg-type]
    directory.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(directory / "results.parquet")
    for dataset in range(sets):
        for image in ids[:WITH_PICTURES]:
            folder = directory / "images" / f"set {dataset}" / str(image)
            folder.mkdir(parents=True)
            pixels = random.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            for name in ("target", *names):
                Image.fromarray(pixels).save(folder / f"{name}.png")
    run = {
        "suite": "simulated",
        "methods": {name: {"title": name} for name in names},
        "datasets": {f"set {dataset}": {"n": images} for dataset in range(sets)},
        "metrics": {name: {"direction": "lower", "version": 1} for name in metrics},
    }
    return check(directory, run, rows)


def write(results: Results) -> tuple[Path, float, float]:
    """The dashboard of results: its page, and the seconds of the tables of means and of the dashboard itself."""
    start = time.perf_counter()
    quality = [means(results, *part) for part in results.parts]
    dear = [costs(results, *part) for part in results.parts if not results.costs(*part).empty]
    between = time.perf_counter()
    page_file = dashboard.write(results, quality, dear, results.methods[0], listings(results))
    return page_file, between - start, time.perf_counter() - between


def openings(browser: Browser, page_file: Path, times: int = 3) -> dict[str, float]:
    """Least seconds of several tries from opening each view afresh to its answering; and of ranking the images."""
    found: dict[str, list[float]] = {}
    for view in VIEWS * times:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        start = time.perf_counter()
        page.goto(f"{page_file.resolve().as_uri()}#{view}", wait_until="commit")
        page.wait_for_selector(f"#view > .view.{view}")
        if view == "charts":
            page.wait_for_selector(".plot .main-svg")
        page.locator("nav a").last.focus()  # answers only when the page has time again
        found.setdefault(f"{view}: open and interactive", []).append(time.perf_counter() - start)
        if view == "images":
            start = time.perf_counter()
            page.get_by_label("Order").select_option("worst")
            page.get_by_label("of", exact=True).focus()
            found.setdefault("images: ranked worst first", []).append(time.perf_counter() - start)
        page.close()
    return {what: min(seconds) for what, seconds in found.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.dashboard", description=__doc__)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--images", type=int, default=2824)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        results = simulate(Path(folder), options.methods, options.sets, options.images)
        page_file, tables, own = write(results)
        data = page_file.parent / "dashboard" / "data"
        figures = [
            ("images x methods", f"{options.methods * options.sets * options.images:,}"),
            ("tables with their intervals", f"{tables:.1f} s"),
            ("dashboard, with all pairs of methods", f"{own:.1f} s"),
            ("data loaded at the start", f"{(data / 'run.js').stat().st_size / 2**20:.2f} MiB"),
            ("data of one set", f"{(data / 'set-0.js').stat().st_size / 2**20:.2f} MiB"),
            *((what, f"{seconds:.2f} s") for what, seconds in openings(browser, page_file).items()),
        ]
    print("| what | figure |\n| :-- | --: |")
    for what, figure in figures:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
