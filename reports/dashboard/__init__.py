"""The static dashboard: report/index.html and report/dashboard, opened from the disk without a server or a network.

A browser does not let a page from the disk fetch files or load modules, so the data are scripts that hand JSON to
the page: run.js with what every view needs, and one file a data set with a number for each image, loaded when asked
for. Pictures are hard links to the run's own. The same rows, the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.dashboard.pictures import gather
from reports.dashboard.run_data import run_data
from reports.dashboard.scripts import as_script
from reports.dashboard.set_data import set_data
from reports.frame import Results
from reports.listings import Listing
from reports.table import Table

ASSETS = ("style.css", "core.js", "model.js", "widgets.js", "overview.js", "table.js", "charts.js", "pictures.js",
          "viewer.js", "failures.js", "about.js", "main.js")  # fmt: skip


def write(
    results: Results, quality: Sequence[Table], dear: Sequence[Table], reference: str, about: Sequence[Listing]
) -> Path:
    """Write DIR/report/index.html and DIR/report/dashboard anew; returns the path of index.html.

    quality and dear are tables of means and of costs, one per data set and protocol. Tables and figures that lie in
    DIR/report already become its download links, so this is called last.
    """
    report = results.directory / "report"
    folder = report / "dashboard"
    kept: set[Path] = set()

    def put(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(content)
        os.replace(temporary, path)
        kept.add(path)

    own = files("reports.dashboard") / "assets"
    for name in ASSETS:
        put(folder / name, (own / name).read_bytes())
    put(folder / "plotly.min.js", (files("plotly") / "package_data" / "plotly.min.js").read_bytes())
    pictures = {}
    for place, dataset in enumerate(results.datasets):
        pictures[dataset], used = gather(results, dataset, folder)
        kept |= used
        payload = set_data(results, dataset, reference, pictures[dataset])
        put(folder / "data" / f"set-{place}.js", as_script("receiveSet", place, payload))
    kept |= {folder / "data" / "results.parquet"}
    put(folder / "data" / "results.parquet", (results.directory / "results.parquet").read_bytes())
    run = run_data(results, quality, dear, reference, about, pictures, _downloads(report, folder))
    put(folder / "data" / "run.js", as_script("receiveRun", run))
    page = Environment(loader=PackageLoader("reports.dashboard", "templates"), autoescape=True,
                       undefined=StrictUndefined, keep_trailing_newline=True)  # fmt: skip
    text = page.get_template("index.html.j2").render(title=run["title"], scripts=[n for n in ASSETS if ".js" in n])
    _remove_stale(folder, kept)
    put(report / "index.html", text.encode())
    return report / "index.html"


def _downloads(report: Path, folder: Path) -> list[str]:
    """Paths from report/ of whatever a reader may want to take along, in the order of their names."""
    found = [path for path in report.rglob("*") if path.is_file() and folder not in path.parents]
    names = sorted(path.relative_to(report).as_posix() for path in found)
    return [name for name in names if name != "index.html" and "/." not in f"/{name}"] + [
        "dashboard/data/results.parquet"
    ]


def _remove_stale(folder: Path, kept: set[Path]) -> None:
    for root, directories, names in os.walk(folder, topdown=False):
        for name in names:
            if Path(root, name) not in kept:
                Path(root, name).unlink()
        for name in directories:
            if not any(Path(root, name).iterdir()):
                Path(root, name).rmdir()
