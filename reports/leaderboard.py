"""A leaderboard: results of several runs and versions on one static page, from files of results.

A board holds what can stand in one table: the same suite, generator and images. Its rows are methods of runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inversion_bench.files import write_bytes, write_text
from reports import bibliography, submission
from reports.dashboard.scripts import as_script, slug
from reports.dashboard.share import single_page
from reports.figures import COLOURS, MARKERS
from reports.frame import ReportError, read
from reports.statistics import LEVEL, MIN_PAIRS

SCRIPTS = ("core.js", "model.js", "widgets.js", "exports.js", "table.js", "about.js", "main.js")
CAPTION = (
    f"Means with {LEVEL:.0%} intervals, as the files of results have them. No method is marked as the best: means of "
    "different runs are not paired by image; `compare` says whether two runs differ."
)

Entry = tuple[str, Mapping[str, Any]]  # the run's name, the content of a file of results


def build(folders: Sequence[Path], out: Path) -> tuple[Path, int, int]:
    """Write OUT/index.html from runs and folders of result files, and OUT/results with a file for each method of runs.

    Returns:
        The page, and how many results and boards it has.

    Raises:
        ReportError, FileNotFoundError: a folder has no results, or a file is not as docs/leaderboard.md says.
    """
    entries: list[Entry] = []
    for folder in folders:
        submitted = list(_of_folder(folder, out))
        if not submitted:
            raise ReportError(f"{folder}: expected results.parquet of a run, or .json files of results; found none")
        entries += submitted
    boards: dict[tuple[str, ...], list[int]] = {}
    for place, (_, content) in enumerate(entries):
        used = {score["dataset"] for score in content["scores"]}
        for dataset in (name for name in content["datasets"] if name in used):
            boards.setdefault(_board(content, dataset), []).append(place)
    run = _payload(entries, boards)
    # No values of images: a page of means alone.
    nothing: dict[str, list[Any]] = {"images": [], "pairs": []}
    sets = [as_script("keepSet", index, nothing) for index in range(len(boards))]
    calls = [as_script("receiveRun", run), *sets, as_script("receivePictures", {})]
    page = out / "index.html"
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(page, single_page(run["title"], SCRIPTS, calls))
    return page, len(entries), len(boards)


def _of_folder(folder: Path, out: Path) -> Iterator[Entry]:
    if not folder.is_dir():
        raise ReportError(f"{folder}: no such folder")
    if not (folder / "results.parquet").is_file():
        for path in sorted(folder.rglob("*.json")):
            yield path.parent.name, submission.load(path)
        return
    results, name = read(folder), folder.resolve().name
    for method in results.methods:
        content = submission.of_run(results, method)
        if content["scores"]:
            path = out / "results" / slug(name) / f"{slug(method)}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
            yield name, submission.load(path)


def _board(content: Mapping[str, Any], dataset: str) -> tuple[str, ...]:
    """What results of one table have in common."""
    generator, info = content["generator"], content["datasets"][dataset]
    return content["suite"], generator["name"], generator["sha256"], dataset, info["key"], str(info["images"])


def _payload(entries: Sequence[Entry], boards: Mapping[tuple[str, ...], list[int]]) -> dict[str, Any]:
    """The data of the dashboard's table view, in which a set is a board and a method a result."""
    several = len({name for name, _ in entries}) > 1
    made = [(content["method"]["title"], name, content["suite"], content["generator"]["name"], content["made_with"])
            for name, content in entries]  # fmt: skip
    return {
        "title": "Leaderboard",
        "statistics": {"level": LEVEL, "minimum": MIN_PAIRS},
        "palette": list(COLOURS),
        "markers": list(MARKERS),
        "methods": [
            {"name": content["method"]["name"], "slug": str(place), "about": [content["method"]["paper"], name],
             "title": content["method"]["title"] + (f" ({name})" if several else "")}
            for place, (name, content) in enumerate(entries)
        ],
        "sets": [_set(place, key, entries, own) for place, (key, own) in enumerate(boards.items())],
        "listings": [{"title": "Results", "headers": ["method", "run", "suite", "generator", "made with"],
                      "rows": made, "empty": "", "notes": []}],
        "config": "",
        "citation": bibliography.suite(),
        "downloads": [],
    }  # fmt: skip


def _set(index: int, key: tuple[str, ...], entries: Sequence[Entry], own: Sequence[int]) -> dict[str, Any]:
    suite, generator, _, dataset, _, images = key
    scores = {(score["protocol"], score["metric"], score["metric_version"], place): score
              for place in own for score in entries[place][1]["scores"] if score["dataset"] == dataset}  # fmt: skip
    columns = {column[:3]: score for column, score in scores.items()}
    known = sorted(columns, key=lambda column: [each[:1] for each in columns].index(column[:1]))  # by protocol
    title = entries[own[0]][1]["datasets"][dataset]["title"]
    return {
        "name": "/".join(key),
        "slug": f"board-{index}",
        "title": f"{title}, {images} images, {suite}, {generator}",
        "ran": [place in own for place in range(len(entries))],
        "columns": [
            {"protocol": protocol, "metric": metric, "title": columns[protocol, metric, version]["title"],
             **{name: columns[protocol, metric, version][name] for name in ("unit", "direction", "digits")},
             "recipe": f"Version {version}.", "section": "", "cost": False}
            for protocol, metric, version in known
        ],
        "cells": [[_cell(scores.get((*column, place))) for place in range(len(entries))] for column in known],
        "captions": {column[0]: CAPTION for column in known},
        "daggers": {column[0]: "mean over fewer images than the set has." for column in known},
        "costs": [],
    }  # fmt: skip


def _cell(score: Mapping[str, Any] | None) -> list[Any] | None:
    if score is None:
        return None
    return [*(score[name] for name in ("mean", "low", "high", "n", "expected")), "", ""]
