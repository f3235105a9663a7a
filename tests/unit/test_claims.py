"""What the README and the docs say of results holds in the committed tables: metric, set, sign and interval."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
SETS = ("celeba", "openpeople", "orl")
NAMES = {"SG2 W": "sg2_w", "SG2 W+": "sg2_w_plus", "e4e": "e4e", "ReStyle (pSp)": "restyle_psp",
         "IntereStyle": "interestyle", "PTI": "pti", "e4e + PTI": "e4e+pti", "IntereStyle + PTI": "interestyle+pti",
         "PTI, fast (of this suite)": "pti_fast"}  # fmt: skip


@cache
def rows(run: str = "celeba64") -> pd.DataFrame:
    return pd.read_csv(ROOT / f"docs/results/{run}/tables.csv", keep_default_na=False)


def find(table: str, dataset: str, metric: str, method: str, run: str = "celeba64") -> pd.Series:
    frame = rows(run)
    found = frame[(frame["table"] == table) & (frame["dataset"] == dataset) & (frame["metric"] == metric)
                  & (frame["method"] == method)]  # fmt: skip
    assert len(found) == 1, (table, dataset, metric, method, len(found))
    return found.iloc[0]


def mean(dataset: str, metric: str, method: str) -> float:
    return float(find("means", dataset, metric, method)["value"])


def gain_of_pti(dataset: str, metric: str, method: str) -> float:
    """Lower bound of how much better PTI is than a method; positive where the interval says so."""
    found = find("paired", dataset, metric, method)
    return float(found["low"]) if found["direction"] == "lower" else -float(found["high"])


def said(file: str, text: str) -> bool:
    return text in re.sub(r"\s+", " ", (ROOT / file).read_text(encoding="utf-8"))


def test_the_readmes_table_is_the_committed_one() -> None:
    checked = 0
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0] in NAMES:
            for metric, cell in zip(("mse", "lpips_vgg", "id_sface", "edit_id_equal"), cells[1:], strict=False):
                assert cell == f"{mean('openpeople', metric, NAMES[cells[0]]):.3f}", (line, metric)
                checked += 1
    assert checked == 4 * len(NAMES)


@pytest.mark.parametrize("dataset", SETS)
def test_pti_is_better_than_optimisation_in_w_and_w_plus(dataset: str) -> None:
    what = "in MSE, LPIPS (VGG) and identity on all three sets"
    assert said("README.md", f"PTI is better than optimisation in W and in W+ {what}")
    for method in ("sg2_w", "sg2_w_plus"):
        for metric in ("mse", "lpips_vgg", "id_sface"):
            assert gain_of_pti(dataset, metric, method) > 0, (method, metric)


@pytest.mark.parametrize("title", ["IntereStyle", "without disentanglement", "without filter", "without region loss"])
def test_differences_of_interestyle_are_those_of_the_tables(title: str) -> None:
    text = (ROOT / "docs/interestyle.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} | ") and "[" in line)
    method = "interestyle" + ("_no_" + title.removeprefix("without ").split()[0] if title != "IntereStyle" else "")
    cells = [re.findall(r"[-+]\d\.\d+", cell) for cell in line.strip("|").split("|")[1:]]
    for metric, printed in zip(("mse_interest", "lpips_alex_interest", "id_sface", "mse"), cells, strict=True):
        found = find("paired", "celeba", metric, method, "interestyle")
        for value, key in zip(printed, ("value", "low", "high"), strict=True):
            assert float(value) == pytest.approx(float(found[key]), abs=0.51 * 10 ** -len(value.split(".")[1])), metric


def test_interestyle_is_better_on_the_region_and_worse_outside() -> None:
    assert said("README.md", "IntereStyle's claim, lower distortion on the interest region, comes out")
    for metric, better in (("mse_interest", True), ("lpips_alex_interest", True), ("id_sface", True), ("mse", False)):
        assert (find("paired", "celeba", metric, "interestyle", "interestyle")["mark"] == "better") == better


def test_effects_of_an_edit_are_those_of_the_tables() -> None:
    assert said("README.md", "(effect 0.81, 0.92 and 1.01; PTI 0.68, 0.79 and 0.85)")
    for method, printed in (("e4e+pti", ["0.81", "0.92", "1.01"]), ("pti", ["0.68", "0.79", "0.85"])):
        assert [f"{mean(dataset, 'edit_effect', method):.2f}" for dataset in SETS] == printed
    assert all(find("paired", dataset, "edit_effect", "e4e+pti")["mark"] == "better" for dataset in SETS)


def test_what_is_said_of_feature_maps_holds() -> None:
    """docs/methods.md and the README against the committed run of feature-space, whose reference is e4e + PTI."""
    run = "feature-space"
    assert said("README.md", "tells everybody apart (rank-1 100 % on all sets)")
    assert said("README.md", "DHR has a lower MSE than e4e + PTI on all sets")
    for dataset in SETS:
        assert float(find("means", dataset, "rank1_sface", "sfe", run)["value"]) == 1
        for method, metric in (
            ("e4e+dhr", "mse"),
            ("e4e+dhr", "lpips_vgg"),
            ("e4e+dhr", "id_sface"),
            ("sfe+pti", "mse"),
        ):
            assert find("paired", dataset, metric, method, run)["mark"] == "better", (dataset, method, metric)
        order = [float(find("means", dataset, "mse", method, run)["value"]) for method in ("sfe", "hfgi", "e4e")]
        assert order == sorted(order)
        effects = [
            float(find("means", dataset, "edit_effect", method, run)["value"]) for method in ("e4e+dhr", "e4e+pti")
        ]
        assert 0.6 < effects[0] / effects[1] < 0.75


@pytest.mark.parametrize("dataset", SETS)
def test_the_tables_of_feature_maps_are_the_committed_ones(dataset: str) -> None:
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    heads = {"openpeople": "| openpeople (", "celeba": "| CelebA, test photographs |", "orl": "| ORL ("}
    lines = text[text.index(heads[dataset]) :].split("\n\n")[0].splitlines()[2:]
    metrics = ("mse", "lpips_vgg", "id_sface", "rank1_sface", "edit_effect", "edit_id_equal", "edit_still_psnr", "nscd")
    methods = ("e4e", "lsap", "hfgi", "feature_style", "sfe", "e4e+dhr", "pti", "e4e+pti", "sfe+pti")
    for method, line in zip(methods, lines, strict=True):
        for metric, cell in zip(metrics, (c.strip() for c in line.strip("|").split("|")[1:]), strict=True):
            value = float(find("means", dataset, metric, method, "feature-space")["value"])
            assert cell == f"{value:.{len(cell.split('.')[1])}f}", (method, metric)
