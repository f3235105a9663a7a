"""Comparison of two runs, paired by image, as markdown for a pull request.

It is meant for versions of the code: method versions, commit, PyTorch and machine may differ, and are listed. Runs
whose numbers are not comparable are refused: another version, recipe or direction of a metric, or other images in a
data set. Generator, method settings and seeds have to agree unless the comparison is across them.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reports import markdown, verdicts
from reports.frame import COSTS, ReportError, Results
from reports.listings import distinct
from reports.statistics import LEVEL, MIN_PAIRS, Direction, Interval, better, paired_interval, wins
from reports.table import ARROWS, number, with_unit

ACROSS = ("generators", "settings", "seeds")
BETTER, WORSE, SAME, UNDECIDED = "better", "worse", "identical", "not distinguishable"
HEADER = (
    "data set", "protocol", "method", "metric", "A", "B", f"B - A [{LEVEL:.0%}]", "B better on", "B is", "ok in A only",
    "in B only",
)  # fmt: skip


class RecipeError(ReportError):
    """The two runs were measured by different recipes; the message lists all differences."""


@dataclass(frozen=True)
class Comparison:
    """One method and metric on one data set and protocol.

    difference is B - A; only_a and only_b count the images that are ok in one run only.
    """

    dataset: str
    protocol: str
    method: str
    metric: str
    outcome: str = "no image is ok in both"
    a: float | None = None
    b: float | None = None
    difference: Interval | None = None
    won: int = 0
    only_a: int = 0
    only_b: int = 0


def compare(a: Results, b: Results, across: Sequence[str] = ()) -> str:
    """The comparison of run B with run A as markdown.

    Args:
        a: the run that is compared with.
        b: the run that is compared.
        across: kinds of differences that are allowed, of ACROSS.

    Raises:
        RecipeError: the runs share nothing, or differ in more than `across` allows.
    """
    differences = list(recipe_differences(a, b))
    refused = [text for kind, text in differences if kind not in across]
    if refused:
        allowed = sorted({kind for kind, _ in differences} & set(ACROSS) - set(across))
        fix = f"; to compare across them: {' '.join(f'--across {kind}' for kind in allowed)}" if allowed else ""
        raise RecipeError(f"the runs differ in their recipes: {'; '.join(refused)}{fix}")
    parts = [part for part in a.parts if part in b.parts]
    quality = [one for part in parts for one in _comparisons(a, b, part, list(a.part_metrics(*part)))]
    if not quality:
        raise RecipeError(
            f"the runs share no method, data set and metric: A has {_contents(a)}; B has {_contents(b)}; give two runs "
            "of one suite"
        )
    costs, not_compared = _costs(a, b, parts)
    decided = [one for one in quality if one.outcome in (BETTER, WORSE)]
    sections = [
        "# Comparison of B with A",
        markdown.listing(("", "A", "B"), _provenance(a, b)),
        *_other_machines(a, b),
        *(f"Compared across {kind}: {markdown.escape(text)}." for kind, text in differences),
        *(f"Only in {run}: {markdown.escape(names)}." for run, names in _unshared(a, b)),
        _summary(quality),
        "## Differences",
        _table(a, decided) if decided else "None.",
        *(_folded(a, part, quality) for part in parts),
        *verdicts.section(a, b),
        "## Costs",
        *([_table(a, costs)] if costs else []),
        *(markdown.escape(text) for text in not_compared),
    ]
    return "\n\n".join(section.rstrip("\n") for section in sections) + "\n"


def recipe_differences(a: Results, b: Results) -> Iterator[tuple[str, str]]:
    """(kind, text) of every shared metric, data set or setting whose recipe differs.

    The kind is one of ACROSS, "metrics" or "data sets".
    """
    for name in (name for name in a.metrics if name in b.metrics):
        for key in ("version", "recipe", "shared", "direction", "unit", "range"):
            left, right = a.info(name).get(key), b.info(name).get(key)
            if left != right:
                yield "metrics", f"{key} of metric {name} is {left!r} in A, {right!r} in B"
    for name in (name for name in a.datasets if name in b.datasets):
        for key in ("key", "recipe", "n"):
            left, right = a.run["datasets"][name].get(key), b.run["datasets"][name].get(key)
            if left != right:
                yield "data sets", f"{key} of data set {name} is {left!r} in A, {right!r} in B"
                break
    left, right = ((run.run.get("generator") or {}).get("sha256") for run in (a, b))
    if left != right:
        yield "generators", f"the generator is {_short(left)} in A, {_short(right)} in B"
    for name in (name for name in a.methods if name in b.methods):
        for setting, left, right in _settings(a.run["methods"][name], b.run["methods"][name]):
            yield "settings", f"{setting} of method {name} is {left!r} in A, {right!r} in B"
    seeds = [sorted(set(run.rows["seed"])) for run in (a, b)]
    if seeds[0] != seeds[1]:
        yield "seeds", f"the seeds are {seeds[0]} in A, {seeds[1]} in B"


def _settings(a: dict[str, Any], b: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Settings that differ. The identity is what the store addresses results by; older runs only have stage names."""
    if "identity" not in a or "identity" not in b:
        if a.get("stages") != b.get("stages"):
            yield "stages", a.get("stages"), b.get("stages")
        return
    left, right = ([stage["stage"] for stage in info["identity"]] for info in (a, b))
    if left != right:
        yield "stages", " + ".join(left), " + ".join(right)
        return
    for one, other in zip(a["identity"], b["identity"], strict=True):
        for key in sorted({*one["config"], *other["config"]}):
            if one["config"].get(key) != other["config"].get(key):
                yield f"{one['stage']}.{key}", one["config"].get(key), other["config"].get(key)


def _short(sha256: Any) -> str:
    return str(sha256)[:12] if sha256 else "not named"


def _contents(run: Results) -> str:
    return f"methods {', '.join(run.methods)} on {', '.join(run.datasets)}"


def _comparisons(a: Results, b: Results, part: tuple[str, str], metrics: list[str]) -> Iterator[Comparison]:
    shared = [name for name in a.part_methods(*part) if name in b.part_methods(*part)]
    present = set(b.part_metrics(*part)) | set(COSTS)
    for metric in (name for name in metrics if name in present):
        left, right = a.values(metric, *part), b.values(metric, *part)
        for method in shared:
            values_a, values_b = left[method].dropna(), right[method].dropna()
            both = sorted(set(values_a.index) & set(values_b.index))
            only = len(values_a) - len(both), len(values_b) - len(both)
            comparison = Comparison(*part, method, metric, only_a=only[0], only_b=only[1])
            if not both:
                if len(values_a) or len(values_b):
                    yield comparison
                continue
            one, other = values_a[both].to_numpy(), values_b[both].to_numpy()
            direction = a.info(metric)["direction"]
            interval = paired_interval(other, one, a.groups(part[0], both))
            outcome = SAME if np.array_equal(one, other) else _outcome(interval, direction)
            means = float(np.sort(one).mean()), float(np.sort(other).mean())
            yield replace(comparison, outcome=outcome, a=means[0], b=means[1], difference=interval,
                          won=wins(other, one, direction))  # fmt: skip


def _outcome(interval: Interval, direction: Direction) -> str:
    if not interval.excludes_zero:
        return UNDECIDED if interval.groups >= MIN_PAIRS else f"fewer than {MIN_PAIRS} images or people"
    return BETTER if better(interval.mean, direction) else WORSE


def _costs(a: Results, b: Results, parts: Sequence[tuple[str, str]]) -> tuple[list[Comparison], list[str]]:
    """Costs of the methods that both runs measured on one device, precision and batch size; why others are missing."""
    comparisons: list[Comparison] = []
    missing: dict[str, None] = {}
    for part in parts:
        if a.costs(*part).empty or b.costs(*part).empty:
            continue
        measured = [set(run.costs(*part)["metric"]) for run in (a, b)]
        names = [name for name in COSTS if name not in ("load", "batch_images") and name in measured[0] & measured[1]]
        for one in _comparisons(a, b, part, names):
            groups = [_machines(run, part, one.method) for run in (a, b)]
            if groups[0] == groups[1] and len(groups[0]) == 1:
                comparisons.append(one)
            else:
                machines = " against ".join(" and ".join(sorted(group)) for group in groups)
                missing[f"Costs of {one.method} on {part[0]} are not compared: measured on {machines}."] = None
    return comparisons, list(missing) or ([] if comparisons else ["Not measured in both runs."])


def _machines(run: Results, part: tuple[str, str], method: str) -> set[str]:
    rows = run.costs(*part)
    own = rows[(rows["method"] == method) & (rows["status"] == "ok")]
    groups = zip(own["device"], own["precision"], own["batch_size"], strict=True)
    return {f"{device}, {precision}, batch size {size}" for device, precision, size in groups}


def _provenance(a: Results, b: Results) -> Iterator[tuple[str, str, str]]:
    yield "suite", str(a.run.get("suite", "")), str(b.run.get("suite", ""))
    for column in ("commit", "torch", "device", "machine", "precision", "seed"):
        yield column, ", ".join(distinct(a, column)), ", ".join(distinct(b, column))
    yield "generator", _generator(a), _generator(b)
    for method in (name for name in a.methods if name in b.methods):
        if _versions(a, method) != _versions(b, method):
            yield f"version of {method}", _versions(a, method), _versions(b, method)


def _other_machines(a: Results, b: Results) -> Iterator[str]:
    left, right = distinct(a, "machine"), distinct(b, "machine")
    if left and right and left != right:
        yield (
            "**Warning: the runs were computed on different processors or with other settings** (machine, above): "
            "optimised results differ between them, so that not every difference below comes from the code."
        )


def _generator(run: Results) -> str:
    info = run.run.get("generator") or {}
    return f"{info.get('name', '')} {_short(info.get('sha256'))}"


def _versions(run: Results, method: str) -> str:
    rows = run.rows[(run.rows["method"] == method) & (run.rows["status"] == "ok")]
    return ", ".join(str(version) for version in sorted(set(rows["method_version"])))


def _unshared(a: Results, b: Results) -> Iterator[tuple[str, str]]:
    for run, one, other in (("A", a, b), ("B", b, a)):
        names = [name for kind in ("methods", "datasets", "metrics") for name in getattr(one, kind)
                 if name not in getattr(other, kind)]  # fmt: skip
        if names:
            yield run, ", ".join(names)


def _summary(comparisons: Sequence[Comparison]) -> str:
    counts = Counter(one.outcome for one in comparisons)
    outcomes = (BETTER, WORSE, UNDECIDED, SAME)
    listed = [f"{name} in {counts[name]}" for name in (*outcomes, *sorted(set(counts) - set(outcomes)))]
    text = f"Of {len(comparisons)} comparisons (method x metric x data set), B is {', '.join(listed)}."
    if compared := counts[BETTER] + counts[WORSE] + counts[UNDECIDED]:
        chance = f"about {(1 - LEVEL) * compared:.1f} of {compared} differences are expected by chance alone"
        text += f" Paired by image, {LEVEL:.0%} intervals: {chance}."
    lost, gained = sum(one.only_a for one in comparisons), sum(one.only_b for one in comparisons)
    if lost or gained:
        text += f" Values in one run only: {lost} in A, {gained} in B."
    return text


def _table(run: Results, comparisons: Sequence[Comparison]) -> str:
    return markdown.listing(HEADER, (_printed(run, one) for one in comparisons))


def _printed(run: Results, comparison: Comparison) -> tuple[str, ...]:
    info = run.info(comparison.metric)
    digits = int(info.get("digits", 3))
    heading = with_unit(run.title("metrics", comparison.metric), str(info.get("unit") or ""))
    head = (comparison.dataset, comparison.protocol, comparison.method, f"{heading} {ARROWS[info['direction']]}")
    tail = (comparison.outcome, str(comparison.only_a or ""), str(comparison.only_b or ""))
    interval = comparison.difference
    if interval is None or comparison.a is None or comparison.b is None:
        return (*head, "n/a", "n/a", "n/a", "", *tail)
    # One decimal more than the values: differences between versions are small.
    mean, low, high = (number(x, digits + 1, signed=True) for x in (interval.mean, interval.low, interval.high))
    values = number(comparison.a, digits), number(comparison.b, digits)
    return (*head, *values, f"{mean} [{low}, {high}]", f"{comparison.won}/{interval.n}", *tail)


def _folded(run: Results, part: tuple[str, str], comparisons: Sequence[Comparison]) -> str:
    own = [one for one in comparisons if (one.dataset, one.protocol) == part]
    title = f"{run.title('datasets', part[0])}, protocol {part[1]}: all {len(own)} comparisons"
    # Markdown is not parsed inside <summary>.
    return f"<details><summary>{html.escape(title)}</summary>\n\n{_table(run, own)}\n</details>" if own else ""
