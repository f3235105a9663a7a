"""Curves of methods compared at equal time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.equal_time import at_time, curves, equal_time
from reports.frame import Results, check
from tests.unit.simulated_run import rows, run_json

SECONDS = {"slow": 1.0, "slow@steps=2": 4.0, "quick": 0.5, "quick@steps=2": 2.0, "alone": 1.0}
LEVELS = {"slow": 0.5, "slow@steps=2": 0.3, "quick": 0.4, "quick@steps=2": 0.2, "alone": 0.1}


def run(levels: dict[str, float]) -> Results:
    frame = pd.concat([rows(12, {name: level}) for name, level in levels.items()])
    times = frame[frame["metric"] == "seconds"].assign(metric="cpu_seconds")
    times = times.assign(value=times["method"].map(SECONDS))
    return check(Path("/nowhere"), run_json(12, {name: {"title": name} for name in levels}), pd.concat([frame, times]))


def test_settings_of_one_method_are_a_curve() -> None:
    assert curves(SECONDS) == [["slow", "slow@steps=2"], ["quick", "quick@steps=2"]]


def test_values_between_two_points_follow_the_logarithm_of_time() -> None:
    values = np.array([[0.5, 0.3], [0.9, 0.1]])
    assert at_time(values, [1.0, 4.0], 2.0) == pytest.approx([0.4, 0.5])
    assert at_time(values[:, ::-1], [4.0, 1.0], 4.0) == pytest.approx([0.3, 0.1])
    assert at_time(values, [1.0, 4.0], 4.5) == pytest.approx([0.3, 0.1])


def test_a_point_is_compared_where_the_other_curve_has_its_time() -> None:
    """quick's first point is earlier than all of slow; its second, at 2 s, meets slow half way between 0.5 and 0.3."""
    table = equal_time(run(LEVELS), "faces", "standard")
    assert table is not None
    (row,) = table.rows
    assert row.labels == ("quick@steps=2", "slow", "2.0")
    error, gain = row.cells
    assert error.value == pytest.approx(-0.2, abs=0.02) and error.mark == "better" and error.wins == 12
    assert gain.value == pytest.approx(0.2, abs=0.02) and gain.mark == "better"


def test_without_two_curves_there_is_no_table() -> None:
    assert (
        equal_time(run({name: LEVELS[name] for name in ("slow", "slow@steps=2", "alone")}), "faces", "standard") is None
    )
