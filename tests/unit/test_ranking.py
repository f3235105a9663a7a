from __future__ import annotations

from pathlib import Path

import numpy as np

from reports.frame import read
from reports.ranking import ranks, tier_ranks
from reports.statistics import marks, tiers
from tests.unit.simulated_run import rows, run_json, write


def test_tiers_go_on_where_marks_end() -> None:
    random = np.random.default_rng(0)
    common = random.normal(0, 1, (30, 1))
    table = common + np.array([[0.0, 0.0, 1.0, 2.0, 3.0]]) + random.normal(0, 0.05, (30, 5))
    found = tiers(table, "lower")
    assert list(found) == [0, 0, 1, 2, 3] or list(found) == [0, 1, 2, 3, 4]
    assert list(tiers(table, "lower", most=2)) == [min(tier, 2) for tier in found]
    words = {0: "best", 1: "second"}
    assert list(marks(table, "lower")) == [words.get(tier, "") for tier in found]
    assert set(tiers(table[:3], "lower")) == {0}, "too few images tell nothing apart"


def test_methods_of_a_tier_share_a_rank() -> None:
    mean, low, high = tier_ranks([0, 1, 1, 2])
    assert list(mean) == [1, 2.5, 2.5, 4] and list(low) == [1, 2, 2, 4] and list(high) == [1, 3, 3, 4]


def test_ranks_of_a_run_leave_out_what_is_too_small(tmp_path: Path) -> None:
    found = ranks(read(write(tmp_path / "run", rows(30), run_json(30))))
    assert len(found.columns) == 2 and found.left_out == 0 and set(found.counts) == {2}
    assert found.methods[-1] == "plain" and found.mean[-1] == 3.0
    assert sum(found.mean) == 6.0 and all(
        a <= b <= c for a, b, c in zip(found.low, found.mean, found.high, strict=True)
    )
    few = ranks(read(write(tmp_path / "few", rows(4), run_json(4))))
    assert few.methods == () and few.left_out == 2
