"""The static dashboard, opened from the disk without a server or a network: report/index.html and
report/share.html, one file to send. report/dashboard has what index.html loads.

A browser does not let a page from the disk fetch files or load modules, so the data are scripts that pass JSON to the
page: run.js with the data of all views, and a file for each data set with the values of its images, loaded on demand.
Images are hard links to the run's own. Equal rows give equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from inversion_bench.files import write_bytes
from reports.dashboard.images import gather
from reports.dashboard.run_data import run_data
from reports.dashboard.scripts import as_script
from reports.dashboard.set_data import set_data
from reports.dashboard.share import share
from reports.frame import Results
from reports.listings import Listing
from reports.table import Table

ASSETS = ("style.css", "core.js", "model.js", "widgets.js", "exports.js", "overview.js", "table.js", "charts.js",
          "images.js", "viewer.js", "failures.js", "about.js", "main.js")  # fmt: skip


def write(
    results: Results,
    quality: Sequence[Table],
    cost_tables: Sequence[Table],
    reference: str,
    listings: Sequence[Listing],
) -> Path:
    """Write index.html, share.html and dashboard/ in DIR/report anew; call it last, as it links the files there.

    Args:
        results: the run.
        quality, cost_tables: tables of means and of costs, one per data set and protocol.
        reference: the method that images are ranked by.
        listings: of the view About.

    Returns:
        The path of index.html.
    """
    report = results.directory / "report"
    folder = report / "dashboard"
    kept: set[Path] = set()

    def put(path: Path, content: bytes) -> None:
        write_bytes(path, content)
        kept.add(path)

    for name in ASSETS:
        put(folder / name, (files("reports.dashboard") / "assets" / name).read_bytes())
    put(folder / "plotly.min.js", (files("plotly") / "package_data" / "plotly.min.js").read_bytes())
    images, sets = {}, []
    for index, dataset in enumerate(results.datasets):
        images[dataset], used = gather(results, dataset, folder)
        kept |= used
        payload = set_data(results, dataset, reference, images[dataset])
        put(folder / "data" / f"set-{index}.js", as_script("receiveSet", index, payload))
        sets.append(payload)
    put(folder / "data" / "results.parquet", (results.directory / "results.parquet").read_bytes())
    run = run_data(results, quality, cost_tables, reference, listings, images, _downloads(report, folder))
    put(folder / "data" / "run.js", as_script("receiveRun", run))
    put(report / "share.html", share(results, run, sets))
    page = Environment(loader=PackageLoader("reports.dashboard", "templates"), autoescape=True,
                       undefined=StrictUndefined, keep_trailing_newline=True)  # fmt: skip
    text = page.get_template("index.html.j2").render(title=run["title"], scripts=[n for n in ASSETS if ".js" in n])
    _remove_stale(folder, kept)
    put(report / "index.html", text.encode())
    return report / "index.html"


def _downloads(report: Path, folder: Path) -> list[str]:
    """Sorted paths of the files that the page offers, relative to report/."""
    paths = [path for path in report.rglob("*") if path.is_file() and folder not in path.parents]
    names = sorted(path.relative_to(report).as_posix() for path in paths)
    names = [name for name in names if name not in ("index.html", "share.html") and "/." not in f"/{name}"]
    return [*names, "share.html", "dashboard/data/results.parquet"]


def _remove_stale(folder: Path, kept: set[Path]) -> None:
    for root, directories, names in os.walk(folder, topdown=False):
        for name in names:
            if Path(root, name) not in kept:
                Path(root, name).unlink()
        for name in directories:
            if not any(Path(root, name).iterdir()):
                Path(root, name).rmdir()
