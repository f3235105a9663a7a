"""Files of results that a leaderboard takes: means of a method, as JSON. docs/leaderboard.md describes them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reports.frame import ReportError, Results
from reports.tabulate import means

FORMAT, VERSION = "inversion-bench-result", 1
MOST_BYTES = 10_000_000

Check = tuple[str, Callable[[Any], bool]]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


TEXT: Check = ("a text", lambda value: isinstance(value, str))
NAME: Check = ("a text of 1 to 200 characters", lambda value: isinstance(value, str) and 0 < len(value) <= 200)
NUMBER: Check = ("a finite number", _number)
BOUND: Check = ("a finite number or null", lambda value: value is None or _number(value))
COUNT: Check = ("a whole number of at least 0", _whole)
DIRECTION: Check = ("lower or higher", lambda value: value in ("lower", "higher"))
OBJECT: Check = ("an object", lambda value: isinstance(value, dict))
ARRAY: Check = ("a list with entries", lambda value: isinstance(value, list) and bool(value))

FILE = {"suite": NAME, "method": OBJECT, "generator": OBJECT, "datasets": OBJECT, "scores": ARRAY, "made_with": TEXT}
METHOD = {"name": NAME, "title": NAME, "paper": TEXT}
GENERATOR = {"name": NAME, "sha256": TEXT}
DATASET = {"title": NAME, "images": COUNT, "key": TEXT}
SCORE = {
    "dataset": NAME, "protocol": NAME, "metric": NAME, "metric_version": COUNT, "title": NAME, "unit": TEXT,
    "direction": DIRECTION, "digits": COUNT, "mean": NUMBER, "low": BOUND, "high": BOUND, "n": COUNT, "expected": COUNT,
}  # fmt: skip


def load(path: Path) -> dict[str, Any]:
    """A checked file. Raises ReportError with the file, the field, the value found and what was expected."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ReportError(f"{path}: expected at most {MOST_BYTES} bytes, found {path.stat().st_size}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(f"{path}: no JSON that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ReportError(f'{path}: format: expected "{FORMAT}"; `leaderboard RUN` writes such files for a run')
    if content.get("version") != VERSION:
        raise ReportError(f"{path}: version: expected {VERSION}, found {content.get('version')!r}")
    _check(path, "", content, FILE)
    _check(path, "method.", content["method"], METHOD)
    _check(path, "generator.", content["generator"], GENERATOR)
    for name, info in content["datasets"].items():
        _check(path, f"datasets.{name}.", info, DATASET)
    seen: dict[tuple[str, str, str], int] = {}
    for place, score in enumerate(content["scores"]):
        where = f"scores[{place}]."
        _check(path, where, score, SCORE)
        _agree(path, where, score, content["datasets"])
        key = (score["dataset"], score["protocol"], score["metric"])
        if key in seen:
            raise ReportError(f"{path}: {where[:-1]}: {' '.join(key)} is in scores[{seen[key]}], too")
        seen[key] = place
    return content


def _check(path: Path, where: str, entry: Any, fields: Mapping[str, Check]) -> None:
    if not isinstance(entry, dict):
        raise ReportError(f"{path}: {where[:-1]}: expected an object, found {str(entry)[:80]!r}")
    for name, (expected, holds) in fields.items():
        if name not in entry:
            raise ReportError(f"{path}: {where}{name}: expected {expected}, found none")
        if not holds(entry[name]):
            raise ReportError(f"{path}: {where}{name}: expected {expected}, found {str(entry[name])[:80]!r}")


def _agree(path: Path, where: str, score: Mapping[str, Any], datasets: Mapping[str, Any]) -> None:
    """Raises ReportError where fields of a score contradict one another."""
    if score["dataset"] not in datasets:
        raise ReportError(f"{path}: {where}dataset: expected one of {', '.join(datasets)}, found {score['dataset']!r}")
    if not 0 < score["n"] <= score["expected"]:
        raise ReportError(f"{path}: {where}n: expected 1 to {score['expected']}, found {score['n']}")
    if score["digits"] > 9:
        raise ReportError(f"{path}: {where}digits: expected 0 to 9, found {score['digits']}")
    low, high = score["low"], score["high"]
    if (low is None) != (high is None) or (low is not None and not low <= score["mean"] <= high):
        raise ReportError(f"{path}: {where}low: expected low <= mean <= high, found {low}, {score['mean']}, {high}")


def of_run(results: Results, method: str) -> dict[str, Any]:
    """The content of a method's file: all means that the tables of the run have."""
    run = results.run
    generator = run.get("generator") or {}
    scores = [
        {"dataset": table.dataset, "protocol": table.protocol, "metric": column.name, "metric_version": column.version,
         "title": column.title, "unit": column.unit, "direction": column.direction, "digits": column.digits,
         "mean": cell.value, "low": cell.low, "high": cell.high, "n": cell.n, "expected": cell.expected}
        for table in (means(results, *part) for part in results.parts)
        for row, column, cell in table.cells()
        if row.method == method and cell.value is not None
    ]  # fmt: skip
    versions = run.get("versions") or {}
    return {
        "format": FORMAT, "version": VERSION, "suite": str(run.get("suite") or "run"),
        "method": {"name": method, "title": results.title("methods", method),
                   "paper": str(run["methods"][method].get("paper") or "")},
        "generator": {"name": str(generator.get("name") or "unknown"), "sha256": str(generator.get("sha256") or "")},
        "datasets": {name: {"title": results.title("datasets", name), "images": results.expected(name),
                            "key": str(run["datasets"][name].get("key") or "")} for name in results.datasets},
        "made_with": ", ".join(f"{name} {versions[name]}" for name in ("commit", "torch") if versions.get(name)),
        "scores": scores,
    }  # fmt: skip
