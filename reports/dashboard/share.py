"""The dashboard as one file to send: report/share.html with all numbers and some images, without charts by plotly.

Everything is in the file: style, scripts, data, and images as small WebP. Images are added from the first faces on
until the file is as large as a mail takes; the others are n/a on the page.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import zip_longest
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from inversion_bench.pictures import open_picture
from reports.dashboard.scripts import as_script, slug
from reports.figures import choose_images
from reports.frame import Results

MOST_BYTES = 4_900_000
SIDE = 160  # pixels of an image's longer side
QUALITY = 75
IMAGES = 12  # of a data set, at most
SCRIPTS = ("core.js", "model.js", "widgets.js", "exports.js", "overview.js", "table.js", "images.js", "viewer.js",
           "failures.js", "about.js")  # fmt: skip


def single_page(title: str, scripts: Sequence[str], calls: Sequence[bytes]) -> bytes:
    """An HTML page that needs no other file.

    Args:
        title: of the page.
        scripts: names in reports/dashboard/assets, after the first of which the data come; main.js is not among them.
        calls: scripts with the data, as `as_script` writes them.
    """
    code = [(files("reports.dashboard") / "assets" / name).read_text(encoding="utf-8") for name in scripts]
    # "<" is in the data only inside of strings, where the escape means the same: no name can end the script.
    data = [call.decode("ascii").replace("<", "\\u003c") for call in calls]
    script = "\n".join([code[0], *data, *(text.replace('"use strict";\n', "", 1) for text in code[1:])])
    if "</script" in script.lower() or "<!--" in script:
        raise AssertionError("a script of the page would end its element")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (files("reports.dashboard") / "assets" / "style.css").read_text(encoding="utf-8")
    page = Environment(loader=PackageLoader("reports.dashboard", "templates"), autoescape=True,
                       undefined=StrictUndefined, keep_trailing_newline=True)  # fmt: skip
    template = page.get_template("single.html.j2")
    return template.render(title=title, style=style, script=script, digest=digest).encode()


def share(results: Results, run: Mapping[str, Any], sets: Sequence[Mapping[str, Any]]) -> bytes:
    """The page of a run.

    Args:
        results: the run.
        run: the payload of run.js.
        sets: the payloads of the data sets. One that does not fit is left out: its tables of means are there, its
            values of images are not.
    """
    about = {**run, "downloads": []}
    calls = [as_script("receiveRun", about)]
    scripts = (*SCRIPTS, "main.js")
    left = MOST_BYTES - len(single_page(run["title"], scripts, calls))
    own = [as_script("keepSet", index, payload) for index, payload in enumerate(sets)]
    for place in sorted(range(len(own)), key=lambda place: len(own[place])):
        size = len(own[place]) + own[place].count(b"<") * 5
        if size < left:
            calls.append(own[place])
            left -= size
    pictures: dict[str, str] = {}
    for entries in _pictures(results, run):
        size = sum(len(path) + len(data) + 12 for path, data in entries.items())
        if size > left:
            break
        left -= size
        pictures |= entries
    calls.append(as_script("receivePictures", pictures))
    return single_page(run["title"], scripts, calls)


def _pictures(results: Results, run: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """For an image at a time of every set in turn: path on the page -> data URI, of the target and all methods."""
    for turn in zip_longest(*(_order(results, about) for about in run["sets"])):
        for about, image in zip(run["sets"], turn, strict=True):
            if image is None:
                continue
            folder = (results.directory / "images" / about["name"] / image).resolve()
            if not folder.is_relative_to((results.directory / "images").resolve()):
                continue  # a name may not point out of the run's folder
            sources = {name: folder / f"{name}.png" for name in ("target", *results.methods)}
            yield {
                f"dashboard/images/{about['slug']}/{slug(image)}/{slug(name)}.png": _webp(path)
                for name, path in sources.items()
                if path.resolve().is_relative_to(folder) and path.is_file()
            }


def _order(results: Results, about: Mapping[str, Any]) -> list[str]:
    """The faces of the overview, then some other images of a set."""
    names, dataset = results.images(about["name"]), about["name"]
    others = choose_images(results, dataset, results.protocols(dataset)[0], IMAGES)
    return list(dict.fromkeys([*(names[index] for index in about["faces"]), *others]))[:IMAGES]


def _webp(path: Any) -> str:
    with open_picture(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    small.save(held, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(held.getvalue()).decode()}"
