"""What the README and the docs say of results holds in the committed tables: metric, set, sign and interval."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
SETS = ("digiface_gan", "openpeople", "orl")
OUT = SETS[1:]  # sets outside the generator's domain
QUALITY = ("mse", "lpips_alex", "lpips_vgg", "id_sface")


@cache
def rows() -> pd.DataFrame:
    return pd.read_csv(ROOT / "docs/results/faces64/tables.csv", keep_default_na=False)


def find(table: str, dataset: str, metric: str, method: str) -> pd.Series:
    frame = rows()
    found = frame[(frame["table"] == table) & (frame["dataset"] == dataset) & (frame["metric"] == metric)
                  & (frame["method"] == method)]  # fmt: skip
    assert len(found) == 1, (table, dataset, metric, method, len(found))
    return found.iloc[0]


def mean(dataset: str, metric: str, method: str) -> float:
    return float(find("means", dataset, metric, method)["value"])


def gain_of_pti(dataset: str, metric: str, method: str) -> tuple[float, float]:
    """Bounds of how much better PTI is than a method; both positive where the interval says so."""
    found = find("paired", dataset, metric, method)
    low, high = float(found["low"]), float(found["high"])
    return (low, high) if found["direction"] == "lower" else (-high, -low)


def said(file: str, text: str) -> bool:
    return text in re.sub(r"\s+", " ", (ROOT / file).read_text(encoding="utf-8"))


def test_the_readmes_table_is_the_committed_one() -> None:
    names = {"SG2 W": "sg2_w", "SG2 W+": "sg2_w_plus", "pSp": "psp", "e4e": "e4e", "ReStyle (pSp)": "restyle_psp",
             "IntereStyle": "interestyle", "PTI": "pti", "e4e + PTI": "e4e+pti",
             "PTI, fast (of this suite)": "pti_fast"}  # fmt: skip
    checked = 0
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0] in names:
            for metric, cell in zip(("mse", "lpips_vgg", "id_sface", "edit_id_equal"), cells[1:], strict=False):
                assert cell == f"{mean('openpeople', metric, names[cells[0]]):.3f}", (line, metric)
                checked += 1
    assert checked == 4 * len(names)


@pytest.mark.parametrize("dataset", SETS)
@pytest.mark.parametrize("metric", QUALITY)
def test_pti_is_better_than_optimisation_in_w_and_w_plus(dataset: str, metric: str) -> None:
    assert said("README.md", "PTI is better than optimisation in W and in W+ in MSE, both LPIPS and identity")
    for method in ("sg2_w", "sg2_w_plus"):
        assert gain_of_pti(dataset, metric, method)[0] > 0


def test_tuning_cuts_an_encoders_error_to_a_fifth_or_a_third() -> None:
    assert said("README.md", "to a fifth or a third (e4e on openpeople: MSE 0.057 to 0.012)")
    assert [f"{mean('openpeople', 'mse', name):.3f}" for name in ("e4e", "e4e+pti")] == ["0.057", "0.012"]
    for dataset in SETS:
        for name in ("e4e", "psp", "restyle_e4e", "interestyle"):
            assert 0.15 < mean(dataset, "mse", f"{name}+pti") / mean(dataset, "mse", name) < 0.40, (dataset, name)


def test_pti_from_an_optimised_code_is_better_out_of_domain() -> None:
    assert said("README.md", "PTI from an optimised code is better out of domain (MSE by 0.002)")
    for dataset in OUT:
        found = find("paired", dataset, "mse", "e4e+pti")
        assert f"{float(found['value']):.3f}" == "0.002" and float(found["low"]) > 0


def test_an_edit_of_w_plus_loses_a_fifth_of_its_effect_out_of_domain() -> None:
    assert said("docs/editing.md", "(effect 0.81, W: 1.05 on openpeople)")
    assert f"{mean('openpeople', 'edit_effect', 'sg2_w_plus'):.2f}" == "0.81"
    assert f"{mean('openpeople', 'edit_effect', 'sg2_w'):.2f}" == "1.05"


def test_differences_of_editing_are_those_of_the_tables() -> None:
    text = (ROOT / "docs/editing.md").read_text(encoding="utf-8")
    for title, a, b in (("e4e + PTI minus W+", "e4e+pti", "sg2_w_plus"), ("PTI minus W+", "pti", "sg2_w_plus"),
                        ("PTI minus W", "pti", "sg2_w"), ("e4e + PTI minus W", "e4e+pti", "sg2_w")):  # fmt: skip
        line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
        printed = re.findall(r"-?\d\.\d{3}", line.split("|")[2])
        assert printed == [f"{mean(d, 'mse', a) - mean(d, 'mse', b):.3f}" for d in SETS], title
