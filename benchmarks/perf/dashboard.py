"""`python -m benchmarks.perf.dashboard`: the time to write and to open the dashboard of a simulated run.

With --report: time and memory of the full report, tables and figures included. By default 20 methods on 3 sets of
2,824 images: 169,440 pairs of image and method, 8 values each.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from reports import dashboard
from reports.build import build
from reports.frame import COLUMNS, COSTS, Results, check
from reports.listings import listings
from reports.screenshots import PATIENCE_MS, chromium
from reports.tabulate import costs, means

if TYPE_CHECKING:
    from playwright.sync_api import Browser

METRICS = tuple(f"metric_{letter}" for letter in "abcdef")
WITH_FILES = 40  # images of each data set that have files; a browser loads visible images only
VIEWS = ("overview", "table", "images", "charts", "failures")


def simulate(directory: Path, methods: int, sets: int, images: int, metrics: Sequence[str] = METRICS) -> Results:
    """A run of random values with some image files.

    Args:
        directory: of the run.
        methods, sets, images: numbers of methods, data sets and images of each.
        metrics: names.
    """
    random = np.random.default_rng(0)
    names = [f"method {index}" for index in range(methods)]
    ids = np.array([f"image-{index:05}" for index in range(images)])
    parts = []
    for dataset in range(sets):
        for index, method in enumerate(names):
            for metric in (*metrics, *COSTS):
                values = 1 + 0.1 * index + random.normal(0, 0.05, images)
                parts.append(pd.DataFrame({"method": method, "dataset": f"set {dataset}", "image": ids,
                                           "metric": metric, "value": values}))  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    constant = {"suite": "simulated", "protocol": "standard", "seed": 0, "status": "ok", "reason": "", "seconds": 1.0,
                "device": "cpu", "precision": "float32", "batch_size": 8, "attempt": 1, "torch": "", "commit": "",
                "machine": "", "metric_version": 1, "method_version": 1}  # fmt: skip
    rows = rows.assign(**constant)[list(COLUMNS)]  # type: ignore[arg-type]
    directory.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(directory / "results.parquet")
    for dataset in range(sets):
        for image in ids[:WITH_FILES]:
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
    """Write the dashboard; returns its page, and the seconds of the tables and of the dashboard."""
    start = time.perf_counter()
    quality = [means(results, *part) for part in results.parts]
    cost_tables = [costs(results, *part) for part in results.parts if not results.costs(*part).empty]
    middle = time.perf_counter()
    page_file = dashboard.write(results, quality, cost_tables, results.methods[0], listings(results))
    return page_file, middle - start, time.perf_counter() - middle


def openings(browser: Browser, page_file: Path, times: int = 3) -> dict[str, float]:
    """Minimum seconds, over several trials, to open each view until it responds, and to rank the images."""
    seconds: dict[str, list[float]] = {}
    for view in VIEWS * times:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        start = time.perf_counter()
        page.goto(f"{page_file.resolve().as_uri()}#{view}", wait_until="commit")
        page.wait_for_selector(f"#view > .view.{view}")
        if view == "charts":
            page.wait_for_selector(".plot .main-svg")
        page.locator("nav a").last.focus()  # returns when the page is responsive
        seconds.setdefault(f"{view}: open and interactive", []).append(time.perf_counter() - start)
        if view == "images":
            start = time.perf_counter()
            page.get_by_label("Order").select_option("worst")
            page.get_by_label("of", exact=True).focus()
            seconds.setdefault("images: ranked worst first", []).append(time.perf_counter() - start)
        page.close()
    return {name: min(trials) for name, trials in seconds.items()}


def report(results: Results) -> None:
    """Print the seconds of a run's full report, and the peak memory before and after it."""
    (results.directory / "run.json").write_text(json.dumps(results.run), encoding="utf-8")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, time.perf_counter()
    build(results.directory)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("| rows | seconds | peak memory | of that, rows made |\n| --: | --: | --: | --: |")
    print(f"| {len(results.rows):,} | {seconds:.0f} | {peak:.2f} GiB | {before:.2f} GiB |")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.dashboard", description=__doc__)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--images", type=int, default=2824)
    parser.add_argument("--report", action="store_true", help="the full report instead of the dashboard")
    options = parser.parse_args(arguments)
    if options.report:
        with tempfile.TemporaryDirectory() as folder:
            return report(simulate(Path(folder), options.methods, options.sets, options.images))
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
            *((name, f"{seconds:.2f} s") for name, seconds in openings(browser, page_file).items()),
        ]
    print("| quantity | value |\n| :-- | --: |")
    for name, figure in figures:
        print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
