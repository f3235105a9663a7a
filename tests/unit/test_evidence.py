"""docs/evidence.md says what its committed tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
SETS = {"openpeople": "openpeople", "ORL": "orl", "CelebA": "celeba"}
METRICS = ("mse", "lpips_vgg", "id_sface")
POINTS = {"PTI": "pti", "e4e + PTI": "e4e+pti", "e4e + PTI (steps=150)": "e4e+pti@steps=150"}
OTHERS = {"W+": "SG2 W+", "PTI": "PTI"}


def table(file: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "docs/results" / file, keep_default_na=False)


def test_differences_at_equal_time_are_those_of_the_tables() -> None:
    costs = table("budgets/costs.csv")
    checked = 0
    for line in TEXT.splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        point, _, other = name.partition(" to ")
        if len(cells) != 5 or point not in POINTS or other not in OTHERS:
            continue
        group = f"{OTHERS[other]}/{cells[1]}"
        own = costs[
            (costs["method"] == POINTS[point]) & (costs["dataset"] == SETS[cells[0]]) & (costs["group"] == group)
        ]
        for metric, cell in zip(METRICS, cells[2:], strict=True):
            (row,) = own[own["metric"] == metric].to_dict("records")
            assert cell.startswith("**") == (row["mark"] == "better"), line
            for printed, key in zip(re.findall(r"[-+]\d\.\d+", cell), ("value", "low", "high"), strict=True):
                digits = len(printed.split(".")[1])
                assert float(printed) == pytest.approx(float(row[key]), abs=0.51 * 10**-digits), (line, key)
                checked += 1
    assert checked == 4 * 3 * 9


def verdicts(file: str) -> dict[tuple[str, ...], str]:
    rows = table(f"seeds/{file}")
    rows = rows[(rows["table"] == "paired") & (rows["value"] != "")]
    keys = rows[["dataset", "protocol", "method", "metric"]].itertuples(index=False, name=None)
    return dict(zip(keys, rows["mark"], strict=True))


def test_changed_verdicts_are_counted_and_the_claims_are_not_among_them() -> None:
    one, two = verdicts("tables.csv"), verdicts("tables-other-convolutions.csv")
    assert one.keys() == two.keys()
    settled = {"better", "worse"}
    changed = [key for key in one if one[key] != two[key] and settled & {one[key], two[key]}]
    assert f"Of {len(one)} differences" in TEXT
    assert (
        f"| three seeds, other convolutions | {len(changed)} ({len(changed) / len(one):.1%}".replace("%", " %") in TEXT
    )
    assert not [key for key in changed if {one[key], two[key]} == settled]
    for found in (one, two):
        for dataset in SETS.values():
            for method in ("sg2_w", "sg2_w_plus"):
                assert {found[dataset, "reconstruction", method, metric] for metric in METRICS} == {"worse"}


def test_longer_tuning_is_better_everywhere() -> None:
    means = table("budgets/tables.csv").query("table == 'means'").set_index(["dataset", "method", "metric"])["value"]
    for dataset in SETS.values():
        for method in ("pti", "e4e+pti"):
            gain = [float(means[dataset, f"{method}@steps=150", metric]) - float(means[dataset, method, metric])
                    for metric in METRICS]  # fmt: skip
            assert gain[0] < 0 and gain[1] < 0 and gain[2] > 0


def test_settings_are_those_that_the_rule_picked() -> None:
    choice = (ROOT / "docs/results/settings/choice.md").read_text(encoding="utf-8")
    assert re.findall(r"Chosen: `(.+)`", choice) == [
        "sg2_w@steps=300",
        "sg2_w_plus@steps=345",
        "pti@steps=100@lr=0.003",
    ]
