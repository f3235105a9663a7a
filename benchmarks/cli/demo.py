"""Three methods and two edits on photographs, in two minutes: a table, a sheet of pictures, and the dashboard.

Without photographs: people of the set openpeople.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cli.bench import start
from benchmarks.cli.parsing import Parser, add_device, add_json
from benchmarks.errors import ConfigError

SUITE = "demo"
EXAMPLES = """  python -m benchmarks demo
  python -m benchmarks demo me.jpg you.jpg
  python -m benchmarks demo photos/ --out runs/us --no-open"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="images with a face, or folders of them")
    parser.add_argument("--out", type=Path, default=Path("runs") / SUITE, metavar="DIR", help="default: runs/demo")
    parser.add_argument("--no-open", action="store_true", help="do not open the dashboard in a browser")
    add_device(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    for path in options.photos:
        if not path.exists():
            raise ConfigError(f"no such file or folder: {path}")
    overrides, out = [], options.out
    if options.photos:
        # Other photographs, another folder: their results stand side by side.
        paths = "\n".join(str(path.resolve()) for path in options.photos)
        out = out / hashlib.sha256(paths.encode()).hexdigest()[:8]
        datasets = [{"name": "folder", "options": {"path": str(gathered(options.photos, out).resolve())}}]
        overrides = [f"datasets={json.dumps(datasets)}", f"protocols.editing.images={len(options.photos)}"]
    code = start(SUITE, overrides, out, options)
    sheets = sorted((out / "report" / "figures").glob("sheet_*.png"))
    if not (options.quiet or options.json):
        for sheet in sheets:
            print(f"pictures: {sheet}")
        _say_failures(out)
        if not options.no_open and sys.stdout.isatty():
            _open(out / "report" / "index.html")
    return code


def gathered(photos: Sequence[Path], out: Path) -> Path:
    """A folder with links to the photographs (copies where links are impossible); a folder alone is taken as it is."""
    if len(photos) == 1 and photos[0].is_dir():
        return photos[0]
    folder = out / "photographs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for place, path in enumerate(photos):
        name = path.name if not (folder / path.name).exists() else f"{place}-{path.name}"
        try:
            os.symlink(path.resolve(), folder / name)
        except OSError:
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / name)
    return folder


def _say_failures(out: Path) -> None:
    """A line a photograph that could not be inverted."""
    from reports.frame import read

    rows: Any = read(out).rows
    lost = rows[rows["status"] == "failed"].drop_duplicates("image")
    for image, reason in zip(lost["image"], lost["reason"], strict=True):
        print(f"{image}: {reason}")


def _open(page: Path) -> None:
    try:
        webbrowser.get().open(page.resolve().as_uri())
    except webbrowser.Error:
        return  # no browser here; the path is printed
