from pathlib import Path

import pandas as pd
import pytest

from benchmarks.cli.report import exit_code


def frame(*rows):
    return pd.DataFrame(rows, columns=["dataset", "image", "status", "reason"])


FINE = ("orl", "a", "ok", "")
LOST_FACE = ("orl", "b", "undefined", "yaw cannot be read from the inversion")
BROKEN = ("orl", "c", "failed", "the loss became nan")


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        ((FINE,), 0, ()),
        ((FINE, LOST_FACE, LOST_FACE), 0, ("1 images have undefined metrics; reasons are in tables.md",)),
        ((LOST_FACE, BROKEN), 1, ("1 images have failed rows", "1 images have undefined metrics")),
        ((FINE, ("orl", "e", "blocked", "the stage before failed")), 1, ("1 images have failed rows",)),
        ((FINE, ("orl", "e", "missing", "not scored yet")), 0, ("1 images have rows that are not there yet",)),
        ((FINE, ("orl", "d", "skipped", "no weights")), 0, ()),
    ],
)
def test_only_failures_make_the_exit_code(rows, code, said, caplog):
    caplog.set_level("INFO")
    assert exit_code(frame(*rows), Path("tables.md")) == code
    assert all(line in caplog.text for line in said) and len(caplog.messages) == len(said)
