"""The committed tables of docs/results and the texts beside them, for the tests of what is said of results."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
IS, F = "interestyle", "feature-space"  # runs beside celeba64; IS is a method, too
MACHINES = ("celeba64", "celeba64-avx2")  # the committed run, and W, W+ and PTI of the same on another processor
ON_BOTH = ("sg2_w", "sg2_w_plus", "pti")
SETS = ("celeba", "openpeople", "orl")
COVERED = ("celeba", "celeba_occluded", "openpeople", "orl", "occluded")
ENCODERS = ("e4e", "restyle_psp", "interestyle")
NAMES = {"SG2 W": "sg2_w", "SG2 W+": "sg2_w_plus", "e4e": "e4e", "ReStyle (pSp)": "restyle_psp",
         "IntereStyle": "interestyle", "PTI": "pti", "e4e + PTI": "e4e+pti", "IntereStyle + PTI": "interestyle+pti",
         "PTI, fast (of this suite)": "pti_fast"}  # fmt: skip
ABLATIONS = {f"without {words}": f"interestyle_no_{part}" for words, part in (
    ("region loss", "region"), ("disentanglement", "disentanglement"), ("filter", "filter"))}  # fmt: skip
REGION = ("mse_interest", "lpips_alex_interest")
RECONSTRUCTION = (*REGION, "id_sface", "mse")
OCCLUSION = ("occlusion_change_mse", "occlusion_change_lpips_alex", "occlusion_error_mse", "occlusion_id_sface")


@cache
def rows(run: str) -> dict[tuple[str, ...], list[dict[str, str]]]:
    """The rows that have a value, by table, data set, metric and method."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = {}
    with (ROOT / f"docs/results/{run}/tables.csv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            if row["value"]:
                found.setdefault((row["table"], row["dataset"], row["metric"], row["method"]), []).append(row)
    return found


def find(
    table: str, dataset: str, metric: str, method: str, run: str = "celeba64", protocol: str = ""
) -> dict[str, str]:
    """The one row there is; of this protocol, where a metric belongs to several."""
    every = rows(run).get((table, dataset, metric, method), [])
    found = [row for row in every if protocol in ("", row["protocol"])]
    assert len(found) == 1, (table, dataset, metric, method, len(found))
    return found[0]


def mean(dataset: str, metric: str, method: str, run: str = "celeba64", scale: float = 1.0) -> float:
    return float(find("means", dataset, metric, method, run)["value"]) * scale


def each(metric: str, *methods: str, sets: Sequence[str] = SETS, run: str = "celeba64") -> list[float]:
    """Means of each method on each set, the sets of the first method first."""
    return [mean(dataset, metric, method, run) for method in methods for dataset in sets]


def ends(metric: str, *methods: str, sets: Sequence[str] = SETS, run: str = "celeba64") -> list[float]:
    values = each(metric, *methods, sets=sets, run=run)
    return [min(values), max(values)]


def ratios(metric: str, method: str, other: str, run: str = "celeba64") -> list[float]:
    """The mean of a method over that of another one, by set."""
    return [one / two for one, two in zip(each(metric, method, run=run), each(metric, other, run=run), strict=True)]


def count(dataset: str, metric: str = "mse", run: str = "celeba64") -> float:
    return float(find("means", dataset, metric, "e4e", run)["n"])


def counts(metric: str, *datasets: str) -> list[float]:
    """Of IntereStyle's suite: images of each set on which a metric has a value."""
    return [float(find("means", dataset, metric, "interestyle", "interestyle")["n"]) for dataset in datasets]


@cache
def flat(file: str) -> str:
    return re.sub(r"\s+", " ", (ROOT / file).read_text(encoding="utf-8"))


def said(file: str, text: str) -> bool:
    return text in flat(file)


def agrees(printed: str, value: float) -> bool:
    """Whether a printed number is the value, rounded; either way where it lies halfway."""
    return abs(float(printed) - value) <= 0.501 * 10 ** -len(printed.partition(".")[2])


def ratios_on(dataset: str, metric: str, method: str, other: str, run: str) -> float:
    return mean(dataset, metric, method, run) / mean(dataset, metric, other, run)
