"""What `faults` brings about inside a run does happen, and not always."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
import torch

from methods.base import Method
from methods.generators import load_generator
from methods.generators.stylegan2 import Generator
from methods.registry import load_pipeline
from tests.faults import injection as fault_injection
from tests.faults.injection import DAY, install


@pytest.fixture(autouse=True)
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that an injection changes is given back after the test."""
    for owner, name in ((Generator, "synthesis"), (Method, "_attempt"), (time, "time"), (time, "time_ns")):
        monkeypatch.setattr(owner, name, getattr(owner, name))


def drawn(times: int = 60) -> list[str]:
    generator = load_generator("toy")
    found = []
    for _ in range(times):
        try:
            images = generator.synthesis(generator.mapping(torch.zeros(1, generator.z_dim)))
            found.append("whole" if images.isfinite().all() else "nan")
        except torch.OutOfMemoryError:
            found.append("out of memory")
    return found


@pytest.mark.parametrize(("kind", "what"), [("out_of_memory", "out of memory"), ("nan_loss", "nan")])
def test_some_pictures_fail(kind: str, what: str, tmp_path: Path) -> None:
    install(kind, 1, tmp_path)
    found = drawn(100)
    assert set(found) == {"whole", what} and found.count(what) < 50


def attempts(count: int) -> None:
    stage = load_pipeline("sg2_w").stages[0].build(load_generator("toy"), 0)
    for _ in range(count):
        stage.predict_step({"images": torch.empty(0, 3, 64, 64), "ids": []}, 0)


def test_one_image_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(fault_injection.time, "sleep", slept.append)
    install("hang", 3, tmp_path)
    attempts(5)
    assert slept == [DAY] and (tmp_path / "hung").exists()
    install("hang", 3, tmp_path)  # as in the worker that comes after
    attempts(5)
    assert slept == [DAY]


def test_memory_is_limited_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(fault_injection.resource, "setrlimit", lambda _, limit: limits.append(limit))
    install("memory_limit", 0, tmp_path)
    attempts(3)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    assert len(limits) == 1 and abs(limits[0][0] - used) < 2**30


def test_the_clock_jumps_both_ways(tmp_path: Path) -> None:
    now = time.time()
    install("clock", 0, tmp_path)
    seen = [time.time() - now for _ in range(20)]
    assert min(seen) < -3600 and max(seen) > 3600 and abs(time.time_ns() / 1e9 - now) <= 2 * DAY
