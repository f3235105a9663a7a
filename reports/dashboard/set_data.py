"""The data of a data set that the page loads on demand: values of images, failures, paired differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.dashboard.images import ImageFiles
from reports.dashboard.scripts import packed, slug
from reports.frame import COSTS, Results
from reports.statistics import mean_intervals


def columns(results: Results, dataset: str) -> list[tuple[str, str]]:
    """(protocol, metric) of a data set's quality metrics, then of its costs."""
    protocols = results.protocols(dataset)
    quality = [(protocol, metric) for protocol in protocols for metric in results.part_metrics(dataset, protocol)]
    costs = {protocol: set(results.costs(dataset, protocol)["metric"]) for protocol in protocols}
    return quality + [(p, metric) for p in protocols for metric in COSTS if metric in costs[p]]


def set_data(results: Results, dataset: str, reference: str, files: ImageFiles) -> dict[str, Any]:
    """The payload of a data set, in which images, methods and columns are indices.

    Args:
        results: the run.
        dataset: name of the data set.
        reference: the method that paired tables compare with.
        files: the data set's image files.

    Returns:
        values: column -> method -> packed values, one per image. pairs: quality column -> pair -> [mean of the second
        method minus the first, low, high, n, whether zero is excluded], pairs in the order (0, 1), (0, 2), (1, 2), ...
    """
    images = results.images(dataset)
    known = columns(results, dataset)
    frames = [results.values(metric, dataset, protocol).reindex(images) for protocol, metric in known]
    quality = [frame for frame, (_, metric) in zip(frames, known, strict=True) if metric not in COSTS]
    return {
        "images": images,
        "slugs": {index: slug(image) for index, image in enumerate(images) if slug(image) != image},
        "values": [[packed(frame[method]) for method in results.methods] for frame in frames],
        "pairs": [_pairs(results, dataset, frame, reference) for frame in quality],
        "lost": _lost(results, dataset, images),
        "missing": [_or_all(indices, len(images)) for indices in files.missing.values()],
        "extras": [
            {
                "method": results.methods.index(method) if method else -1,
                "label": label,
                "slug": slug(label),
                "images": _or_all(indices, len(images)),
            }
            for (method, label), indices in files.extras.items()
        ],
    }


def _or_all(indices: list[int], n: int) -> list[int] | None:
    return None if len(indices) == n else indices


def _pairs(results: Results, dataset: str, frame: pd.DataFrame, method: str) -> list[list[Any] | None]:
    values, reference = frame.to_numpy(), results.methods.index(method)  # [images, methods]
    groups = results.groups(dataset, list(frame.index))
    differences: list[tuple[int, np.ndarray]] = []
    for second in range(values.shape[1]):
        for first in range(second):
            # The reference is subtracted, as in the paired tables, so that the digits are the same.
            sign = 1 if second != reference else -1
            difference = sign * (values[:, second] - values[:, first])
            differences.append((sign, difference))
    result: list[list[Any] | None] = [None] * len(differences)
    images = [(~np.isnan(difference)).tobytes() for _, difference in differences]
    for mask in dict.fromkeys(images):  # differences on the same images together
        present = np.frombuffer(mask, dtype=bool)
        if not present.any():
            continue
        indices = [index for index, own in enumerate(images) if own == mask]
        columns = np.stack([differences[index][1][present] for index in indices], axis=1)
        intervals = mean_intervals(columns, groups and np.asarray(groups)[present])
        for index, interval in zip(indices, intervals, strict=True):
            sign = differences[index][0]
            bounds = sorted((sign * interval.low, sign * interval.high))
            # Nine digits: rounding stays out of the file. A single person has no interval.
            mean, low, high = (
                None if np.isnan(value) else float(f"{value:.9g}") for value in (sign * interval.mean, *bounds)
            )
            result[index] = [mean, low, high, interval.n, interval.excludes_zero]
    return result


def _lost(results: Results, dataset: str, images: list[str]) -> list[dict[str, Any]]:
    """Groups of images without a value, by protocol, method, status and reason; null images or columns mean all."""
    index = {image: number for number, image in enumerate(images)}
    column = {key: number for number, key in enumerate(columns(results, dataset))}
    groups: dict[tuple[str, int, str, str, tuple[int, ...] | None], set[int]] = {}
    for protocol in results.protocols(dataset):
        rows = results.scores(dataset, protocol)
        for key, own in rows[rows["status"] != "ok"].groupby(["method", "status", "reason", "image"], sort=True):
            method, status, reason, image = (str(part) for part in key)
            every = "" in set(own["metric"])
            which = None if every else tuple(sorted(column[protocol, metric] for metric in set(own["metric"])))
            name = (protocol, results.methods.index(method), status, reason, which)
            groups.setdefault(name, set()).add(index.get(image, -1))
        seen = rows.groupby("method")["image"].agg(set)
        about = set(rows["image"]) - {""}  # a protocol may be about some of the set's images only
        for number, method in enumerate(results.methods):
            have = seen.get(method, set())
            if method in seen.index and "" not in have and (absent := about - have):
                groups[protocol, number, "missing", "not run", None] = {index[image] for image in absent}
    return [
        {
            "protocol": protocol,
            "method": method,
            "status": status,
            "reason": reason,
            "columns": None if which is None else list(which),
            "images": None if -1 in where else _or_all(sorted(where), len(images)),
        }
        for (protocol, method, status, reason, which), where in groups.items()
    ]
