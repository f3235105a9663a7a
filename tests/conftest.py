"""What holds for all tests."""

import fcntl
import os
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from benchmarks.engine.allocator import keep_freed_memory
from benchmarks.engine.machine import pick_device

keep_freed_memory()  # as the commands do: the large networks of the parity tests spend less time in the kernel

# A busy machine must not fail a property.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")  # of a worker beside others
if RUN:
    torch.set_num_threads(1)
QUIET = Path(tempfile.gettempdir()) / f"pytest-quiet-{RUN}"


@pytest.fixture(scope="session", params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Where a test computes: on the CPU, and on CUDA where there is a device."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    return pick_device(request.param)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Beside others: a test marked `alone` waits until no other runs, and the others wait for it."""
    if not RUN:
        return (yield)
    with QUIET.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        return (yield)


# Files of the quick tests that take a worker longest, beside the commands' tests.
LONG = ("test_build_report.py", "test_wandb_sink.py", "test_methods.py", "test_odd_checkpoints.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with many slow tests first, then the commands' tests and other long files, so that workers end together."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda i: (-slow[i.path], i.path.parent.name != "integration" and i.path.name not in LONG))


def pytest_sessionfinish() -> None:
    QUIET.unlink(missing_ok=True)
