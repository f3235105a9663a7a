"""Two runs of one recipe, paired by image: what differs and by how much, as markdown for a pull request.

Meant for comparing versions of the code: a method's version, the commit, PyTorch and the machine may differ, and are
said. What makes numbers incomparable is refused: another version, recipe or direction of a metric, other images of a
data set. The generator, the settings of a method and the seeds have to agree unless the comparison is across them.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reports import markdown
from reports.frame import COSTS, ReportError, Results
from reports.listings import distinct
from reports.statistics import LEVEL, MIN_PAIRS, Interval, paired_interval, wins
from reports.table import number, with_unit

ACROSS = ("generators", "settings", "seeds")
BETTER, WORSE, SAME, UNTOLD = "better", "worse", "identical", "not told apart"


class RecipeError(ReportError):
    """The two runs were measured by different recipes; the message names every difference."""


@dataclass(frozen=True)
class Line:
    """One method and metric of a part. difference is B - A; only_a and only_b count images ok in one run only."""

    dataset: str
    protocol: str
    method: str
    metric: str
    verdict: str = "no image is ok in both"
    a: float | None = None
    b: float | None = None
    difference: Interval | None = None
    won: int = 0
    only_a: int = 0
    only_b: int = 0


def compare(a: Results, b: Results, across: Sequence[str] = ()) -> str:
    """Markdown. Raises RecipeError when the runs share nothing, or differ in more than `across` allows."""
    found = list(recipe_differences(a, b))
    refused = [text for kind, text in found if kind not in across]
    if refused:
        allowed = sorted({kind for kind, _ in found} & set(ACROSS) - set(across))
        fix = f"; to compare across them: {' '.join(f'--across {kind}' for kind in allowed)}" if allowed else ""
        raise RecipeError(f"the runs differ in their recipes: {'; '.join(refused)}{fix}")
    parts = [part for part in a.parts if part in b.parts]
    quality = [line for part in parts for line in _lines(a, b, part, list(a.part_metrics(*part)))]
    if not quality:
        raise RecipeError(
            f"the runs share no method, data set and metric: A has {_holds(a)}; B has {_holds(b)}; give two runs of "
            "one suite"
        )
    dear, machines = _costs(a, b, parts)
    told = [line for line in quality if line.verdict in (BETTER, WORSE)]
    sections = [
        "# B against A",
        markdown.listing(("", "A", "B"), _about(a, b)),
        *(f"Compared across {kind}: {markdown.escape(text)}." for kind, text in found),
        *(f"Only in {which}: {markdown.escape(names)}." for which, names in _unshared(a, b)),
        _summary(quality),
        "## Told apart",
        _table(a, told) if told else "Nothing.",
        *(_folded(a, part, quality) for part in parts),
        "## Costs",
        *([_table(a, dear)] if dear else []),
        *(markdown.escape(text) for text in machines),
    ]
    return "\n\n".join(section.rstrip("\n") for section in sections) + "\n"


def recipe_differences(a: Results, b: Results) -> Iterator[tuple[str, str]]:
    """(what, text) of everything shared whose recipe differs; what is one of ACROSS, or "metrics" or "data sets"."""
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
        for what, left, right in _settings(a.run["methods"][name], b.run["methods"][name]):
            yield "settings", f"{what} of method {name} is {left!r} in A, {right!r} in B"
    seeds = [sorted(set(run.rows["seed"])) for run in (a, b)]
    if seeds[0] != seeds[1]:
        yield "seeds", f"the seeds are {seeds[0]} in A, {seeds[1]} in B"


def _settings(a: dict[str, Any], b: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Settings that differ. identity is what the store addresses results by; older runs have a text only."""
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


def _holds(run: Results) -> str:
    return f"methods {', '.join(run.methods)} on {', '.join(run.datasets)}"


def _lines(a: Results, b: Results, part: tuple[str, str], metrics: list[str]) -> Iterator[Line]:
    shared = [name for name in a.part_methods(*part) if name in b.part_methods(*part)]
    present = set(b.part_metrics(*part)) | set(COSTS)
    for metric in (name for name in metrics if name in present):
        left, right = a.values(metric, *part), b.values(metric, *part)
        for method in shared:
            mine, theirs = left[method].dropna(), right[method].dropna()
            both = sorted(set(mine.index) & set(theirs.index))
            line = Line(*part, method, metric, only_a=len(mine) - len(both), only_b=len(theirs) - len(both))
            if not both:
                if len(mine) or len(theirs):
                    yield line
                continue
            one, other = mine[both].to_numpy(), theirs[both].to_numpy()
            direction = a.info(metric)["direction"]
            found = paired_interval(other, one)
            verdict = SAME if np.array_equal(one, other) else _verdict(found, direction)
            means = float(np.sort(one).mean()), float(np.sort(other).mean())
            yield replace(line, verdict=verdict, a=means[0], b=means[1], difference=found,
                          won=wins(other, one, direction))  # fmt: skip


def _verdict(found: Interval, direction: str) -> str:
    if not found.excludes_zero:
        return UNTOLD if found.n >= MIN_PAIRS else f"under {MIN_PAIRS} images"
    return BETTER if (found.mean < 0) == (direction == "lower") else WORSE


def _costs(a: Results, b: Results, parts: Sequence[tuple[str, str]]) -> tuple[list[Line], list[str]]:
    """Costs of the methods that both runs measured on one device, precision and batch size; the others in words."""
    lines: list[Line] = []
    apart: dict[str, None] = {}
    for part in parts:
        if a.costs(*part).empty or b.costs(*part).empty:
            continue
        for line in _lines(a, b, part, list(COSTS)):
            groups = [_machines(run, part, line.method) for run in (a, b)]
            if groups[0] == groups[1] and len(groups[0]) == 1:
                lines.append(line)
            else:
                said = " against ".join(" and ".join(sorted(group)) for group in groups)
                apart[f"Costs of {line.method} on {part[0]} are not compared: measured on {said}."] = None
    return lines, list(apart) or ([] if lines else ["Not measured in both runs."])


def _machines(run: Results, part: tuple[str, str], method: str) -> set[str]:
    rows = run.costs(*part)
    own = rows[(rows["method"] == method) & (rows["status"] == "ok")]
    groups = zip(own["device"], own["precision"], own["batch_size"], strict=True)
    return {f"{device}, {precision}, batch size {size}" for device, precision, size in groups}


def _about(a: Results, b: Results) -> Iterator[tuple[str, str, str]]:
    yield "suite", str(a.run.get("suite", "")), str(b.run.get("suite", ""))
    for column in ("commit", "torch", "device", "precision", "seed"):
        yield column, ", ".join(distinct(a, column)), ", ".join(distinct(b, column))
    yield "generator", _generator(a), _generator(b)
    for method in (name for name in a.methods if name in b.methods):
        if _versions(a, method) != _versions(b, method):
            yield f"version of {method}", _versions(a, method), _versions(b, method)


def _generator(run: Results) -> str:
    about = run.run.get("generator") or {}
    return f"{about.get('name', '')} {_short(about.get('sha256'))}"


def _versions(run: Results, method: str) -> str:
    rows = run.rows[(run.rows["method"] == method) & (run.rows["status"] == "ok")]
    return ", ".join(str(version) for version in sorted(set(rows["method_version"])))


def _unshared(a: Results, b: Results) -> Iterator[tuple[str, str]]:
    for which, one, other in (("A", a, b), ("B", b, a)):
        names = [name for kind in ("methods", "datasets", "metrics") for name in getattr(one, kind)
                 if name not in getattr(other, kind)]  # fmt: skip
        if names:
            yield which, ", ".join(names)


def _summary(lines: Sequence[Line]) -> str:
    counts = Counter(line.verdict for line in lines)
    compared = sum(counts[verdict] for verdict in (BETTER, WORSE, UNTOLD))
    lost, gained = sum(line.only_a for line in lines), sum(line.only_b for line in lines)
    said = [f"better in {counts[BETTER]}", f"worse in {counts[WORSE]}", f"not told apart in {counts[UNTOLD]}",
            f"identical in {counts[SAME]}"]  # fmt: skip
    others = sorted(set(counts) - {BETTER, WORSE, SAME, UNTOLD})
    said += [f"{verdict} in {counts[verdict]}" for verdict in others]
    text = f"Of {len(lines)} comparisons of a method by a metric on a set, B is {', '.join(said)}."
    if compared:
        chance = f"chance alone tells about {(1 - LEVEL) * compared:.1f} of {compared} apart"
        text += f" Paired by image, {LEVEL:.0%} bootstrap intervals: {chance}."
    if lost or gained:
        text += f" Values that only one run has: {lost} in A, {gained} in B."
    return text


def _table(run: Results, lines: Sequence[Line]) -> str:
    header = (
        "set",
        "protocol",
        "method",
        "metric",
        "A",
        "B",
        f"B - A [{LEVEL:.0%}]",
        "B better on",
        "B is",
        "ok in A only",
        "in B only",
    )
    return markdown.listing(header, (_printed(run, line) for line in lines))


def _printed(run: Results, line: Line) -> tuple[str, ...]:
    info = run.info(line.metric)
    digits = int(info.get("digits", 3))
    arrow = "↓" if info["direction"] == "lower" else "↑"
    heading = with_unit(run.title("metrics", line.metric), str(info.get("unit") or ""))
    head = (line.dataset, line.protocol, line.method, f"{heading} {arrow}")
    tail = (line.verdict, str(line.only_a or ""), str(line.only_b or ""))
    if line.difference is None or line.a is None or line.b is None:
        return (*head, "n/a", "n/a", "n/a", "", *tail)
    found = line.difference
    # One decimal more than the values: differences of versions are small.
    bounds = ", ".join(number(bound, digits + 1, signed=True) for bound in (found.low, found.high))
    difference = f"{number(found.mean, digits + 1, signed=True)} [{bounds}]"
    return (*head, number(line.a, digits), number(line.b, digits), difference, f"{line.won}/{found.n}", *tail)


def _folded(run: Results, part: tuple[str, str], lines: Sequence[Line]) -> str:
    own = [line for line in lines if (line.dataset, line.protocol) == part]
    title = f"{run.title('datasets', part[0])}, protocol {part[1]}: all {len(own)} comparisons"
    # Markdown is not read inside the summary.
    return f"<details><summary>{html.escape(title)}</summary>\n\n{_table(run, own)}\n</details>" if own else ""
