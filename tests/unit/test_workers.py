"""How many workers a run starts, and what they are told of the device."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.engine import workers
from benchmarks.engine.executors import local


def test_a_device_with_an_index_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert workers.worker_count(0, torch.device("cuda")) == 4
    assert workers.worker_count(0, torch.device("cuda:1")) == 1
    assert workers.worker_count(3, torch.device("cuda:1")) == 3


@pytest.mark.parametrize(
    ("device", "shown"), [("cuda", ["0", "1", "0"]), ("cuda:1", [None] * 3), ("cpu", [None] * 3)]
)  # fmt: skip
def test_only_workers_on_any_cuda_device_are_spread_over_them(
    device: str, shown: list[str | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    started: list[str | None] = []

    def popen(command: Sequence[str], env: dict[str, str], **_: Any) -> Any:
        assert device in command
        started.append(env.get("CUDA_VISIBLE_DEVICES"))
        return SimpleNamespace(poll=lambda: 0, pid=0)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(local.subprocess, "Popen", popen)
    launcher = local.Launcher(tmp_path, 3, 1, {})
    launcher.start([0, 1, 2], [["run", "smoke", "--device", device]] * 3)
    assert started == shown
