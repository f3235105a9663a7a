"""The data of run.js: methods, data sets with their tables and summaries, provenance, downloads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports import bibliography
from reports.dashboard.images import ImageFiles
from reports.dashboard.scripts import cell, slug
from reports.dashboard.set_data import columns
from reports.dashboard.summaries import summary
from reports.figures import COLOURS, MARKERS, choose_images
from reports.frame import COSTS, Results
from reports.listings import Listing
from reports.ranking import Ranks, ranks
from reports.statistics import LEVEL, MIN_PAIRS
from reports.summary import headline_of
from reports.table import Table

FACES = 3  # images of the overview, and methods beside their targets
HARDWARE = ["device", "precision", "batch_size", "torch", "commit"]


def run_data(
    results: Results,
    quality: Sequence[Table],
    cost_tables: Sequence[Table],
    reference: str,
    listings: Sequence[Listing],
    images: Mapping[str, ImageFiles],
    downloads: Sequence[str],
) -> dict[str, Any]:
    """The payload of run.js, in which methods and columns of a data set are indices.

    Args:
        results: the run.
        quality, cost_tables: tables of means and of costs, one per data set and protocol.
        reference: the method that images are ranked by.
        listings: of the view About.
        images: image files by data set.
        downloads: paths relative to the page.
    """
    run = results.run
    ranked = ranks(results)
    return {
        "title": str(run.get("title") or run.get("suite") or "Results"),
        "suite": str(run.get("suite") or ""),
        "reference": results.methods.index(reference),
        "statistics": {"level": LEVEL, "minimum": MIN_PAIRS},
        "failed": len(_failed(results)),
        "palette": list(COLOURS),
        "markers": list(MARKERS),
        "methods": [
            {"name": name, "slug": slug(name), "title": results.title("methods", name), "about": _about(info)}
            for name, info in run["methods"].items()
        ],
        "ranks": _ranks(results, ranked),
        "sets": [
            _set(results, dataset, quality, cost_tables, images[dataset]) | _first_look(results, dataset, ranked)
            for dataset in results.datasets
        ],
        "listings": [
            {"title": part.title, "headers": part.headers, "rows": part.rows, "empty": part.empty, "notes": part.notes}
            for part in (*listings, _hardware(results))
        ],
        "config": json.dumps(_without_folders(run.get("config") or {}), indent=1, ensure_ascii=False, default=str),
        "citation": bibliography.citation(results),
        "downloads": list(downloads),
    }


def _set(
    results: Results, dataset: str, quality: Sequence[Table], cost_tables: Sequence[Table], images: ImageFiles
) -> dict[str, Any]:
    info = results.run["datasets"][dataset]
    tables = [table for table in quality if table.dataset == dataset]
    known = [(table, index) for table in tables for index in range(len(table.columns))]
    measured = {table.protocol: table for table in cost_tables if table.dataset == dataset}
    rows = results.rows.loc[results.rows["dataset"] == dataset, "method"]
    return {
        "name": dataset,
        "slug": slug(dataset),
        "title": results.title("datasets", dataset),
        "domain": str(info.get("domain") or ""),
        "n": results.expected(dataset),
        "size": images.size,
        "thumbnails": images.thumbnails,
        "ran": [method in set(rows) for method in results.methods],
        "columns": [_column(results, *key) for key in columns(results, dataset)],
        "cells": [_cells(results, table, index) for table, index in known],
        "summaries": [summary(results, table, index) for table, index in known],
        "captions": {table.protocol: table.text for table in tables},
        "daggers": {table.protocol: table.dagger for table in tables},
        "costs": [
            {
                "protocol": protocol,
                "method": results.methods.index(row.method),
                "measured": list(row.labels[1:]),
                "cells": {column.name: cell(value) for column, value in zip(table.columns, row.cells, strict=True)},
            }
            for protocol, table in measured.items()
            for row in table.rows
            if any(value.value is not None for value in row.cells)
        ],
    }


def _ranks(results: Results, ranked: Ranks) -> dict[str, Any]:
    """Rows are [method, mean rank, low, high, columns], best first."""
    places = [results.methods.index(method) for method in ranked.methods]
    rows = zip(places, ranked.mean, ranked.low, ranked.high, ranked.counts, strict=True)
    return {
        "rows": [list(row) for row in rows],
        "columns": len(ranked.columns),
        "leftOut": ranked.left_out,
        "sets": len({dataset for dataset, _, _ in ranked.columns}),
        "metrics": list(dict.fromkeys(results.title("metrics", metric) for _, _, metric in ranked.columns)),
    }


def _first_look(results: Results, dataset: str, ranked: Ranks) -> dict[str, Any]:
    """What views of a set open on: columns of two axes, and images of the best method from worst to best."""
    known = columns(results, dataset)
    chosen = headline_of(results)
    # The headline's columns first, then all others; in each the order of the run.
    order = sorted(range(len(known)), key=lambda place: (known[place][1] not in chosen, place))
    order = [place for place in order if known[place][1] not in COSTS]
    if not order:
        return {"opening": [0, 0], "faces": [], "best": []}

    def opening(*starts: str) -> list[int]:
        return [place for place in order if known[place][1].startswith(starts)]

    across = (opening("mse", "lpips") or order)[0]
    up = next((place for place in (*opening("id_"), *opening("edit_"), *order) if place != across), across)
    protocol, metric = known[across]
    ran = [method for method in ranked.methods or results.methods if method in results.part_methods(dataset, protocol)]
    names = results.images(dataset)
    faces = choose_images(results, dataset, protocol, FACES, metric, ran[0]) if ran else ()
    return {
        "opening": [across, up],
        "faces": [names.index(name) for name in faces],
        "best": [results.methods.index(method) for method in ran[:FACES]],
    }


def _cells(results: Results, table: Table, column: int) -> list[list[Any] | None]:
    """A cell for each method of the run; None where the suite does not run a method."""
    rows = {row.method: row.cells[column] for row in table.rows}
    return [cell(rows[method]) if method in rows else None for method in results.methods]


def _column(results: Results, protocol: str, metric: str) -> dict[str, Any]:
    info = results.info(metric)
    return {
        "protocol": protocol,
        "metric": metric,
        "title": results.title("metrics", metric),
        "unit": str(info.get("unit") or ""),
        "direction": info["direction"],
        "digits": int(info.get("digits", 3)),
        "recipe": ". ".join(str(info[key]).rstrip(".") for key in ("recipe", "shared", "reference") if info.get(key)),
        "section": str(info.get("group") or ""),
        "cost": metric in COSTS,
    }


def _failed(results: Results) -> set[tuple[str, str, str]]:
    """(method, set, image) of every inversion or score that failed."""
    rows = results.failures
    return set(zip(rows["method"], rows["dataset"], rows["image"], strict=True))


def _about(info: Mapping[str, Any]) -> list[str]:
    """Texts that a filter searches besides the title: stages, space, year, note."""
    return [str(info[key]) for key in ("stages", "space", "year", "note") if info.get(key)]


def _hardware(results: Results) -> Listing:
    rows = results.rows[results.rows["device"] != ""]
    groups = rows.groupby(HARDWARE, sort=True)
    lines = [
        (*(str(part) for part in key), str(own[["method", "dataset", "image"]].drop_duplicates().shape[0]))
        for key, own in groups
        if isinstance(key, tuple)
    ]
    headers = ("device", "precision", "batch size", "torch", "commit", "images inverted")
    return Listing("Measured on", headers, tuple(lines), "Not recorded in the rows.")


def _without_folders(value: Any) -> Any:
    """Paths reduced to file names: the folder depends on the machine only."""
    if isinstance(value, Mapping):
        return {key: _without_folders(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
