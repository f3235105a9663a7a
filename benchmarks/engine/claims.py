"""Who works on what: claims in the output folder, by which any number of processes share a run.

    DIR/work/workers/<name>          a worker: locked while it lives, with a heartbeat that counts up
    DIR/work/workers/<name>.claim    what its claims are links of
    DIR/work/workers/<name>.ended    why it ended, when it did not finish
    DIR/work/claims/<key>/<image>.<n>  the n-th claim of an image (of a group: of its first image)

A claim appears complete and once (a hard link of a finished file), and is removed when the image's row is written. One
whose worker is dead counts as a death at that image; the next claim has the next number. Nothing here asks what time it
is: clocks jump. A worker on this machine lives while its lock is held; one on another machine, where locks cannot be
trusted, while its heartbeat has moved within HEARTBEAT_TIMEOUT of the observer's own seconds.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.errors import ConfigError
from inversion_bench.files import write_text

fcntl: Any
try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

HEARTBEAT_INTERVAL = 5.0
HEARTBEAT_TIMEOUT = 60.0
RETRIES = 3  # of an image at which a worker died
KILLED = "it was killed"


def machine() -> str:
    """The same for all processes under one kernel, where file locks can be trusted."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else platform.node()


def require_locks(command: str) -> None:
    """Raises ConfigError where several processes cannot share a folder."""
    if fcntl is None:
        raise ConfigError(
            f"{command} needs POSIX file locks, by which its workers claim images and which Windows lacks: use WSL "
            "there; invert, edit, plan, report and compare work without"
        )


def worker_name(slot: int | None = None) -> str:
    """A new name for a worker: of a supervisor's slot, or of this process."""
    begin = f"{platform.node()}-{os.getpid()}" if slot is None else f"w{slot}"
    return f"{begin}-{uuid.uuid4().hex[:12]}"


class Heartbeat:
    """This process's sign of life, until `close` or its death."""

    def __init__(self, out: Path, name: str = ""):
        self.name = name or worker_name()
        self.path = out / "work" / "workers" / self.name
        self.claim = self.path.with_name(f"{self.name}.claim")  # whole; each claim is a link of it
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _count(self) -> None:
        count = 0
        while not self._stopped.is_set():
            count += 1
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, b"%020d" % count)
            self._stopped.wait(HEARTBEAT_INTERVAL)

    def record_end(self, cause: str) -> None:
        """Leave the cause for which this worker is about to end."""
        record_end(self.path, cause)

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.path.unlink(missing_ok=True)
        self.claim.unlink(missing_ok=True)
        os.close(self._handle)


def record_end(worker: Path, cause: str) -> None:
    """Write down why a worker ended, unless it did so itself."""
    path = worker.with_name(f"{worker.name}.ended")
    if not path.exists():
        write_text(path, cause)


class WorkerMonitor:
    """Which workers live, as far as this process can tell."""

    def __init__(self, out: Path):
        self.folder = out / "work" / "workers"
        self._seen: dict[str, tuple[bytes, float]] = {}

    def alive(self, name: str, where: str) -> bool:
        path = self.folder / name
        if path.with_name(f"{name}.ended").exists():
            return False
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            if fcntl and where == machine():
                return _locked(handle)
            return self._counts(name, os.read(handle, 20))
        finally:
            os.close(handle)

    def _counts(self, name: str, heartbeat: bytes) -> bool:
        now = time.monotonic()
        old, since = self._seen.setdefault(name, (heartbeat, now))
        if heartbeat != old:
            self._seen[name] = (heartbeat, now)
            return True
        return now - since < HEARTBEAT_TIMEOUT

    def cause(self, name: str) -> str:
        """Why a dead worker ended."""
        path = self.folder / f"{name}.ended"
        return path.read_text() if path.exists() else KILLED


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


class Claims:
    """The claims of one stage run, as one worker sees and makes them."""

    def __init__(self, out: Path, key: str, heartbeat: Heartbeat, monitor: WorkerMonitor):
        self.folder = out / "work" / "claims" / key
        self.heartbeat, self.monitor = heartbeat, monitor
        self.held: dict[str, int] = {}  # the number of this worker's claim of a unit

    def latest(self) -> dict[str, int]:
        """The number of the last claim of every unit that is claimed, by living workers or dead ones."""
        numbers: dict[str, int] = {}
        for name in os.listdir(self.folder) if self.folder.exists() else ():
            unit, _, number = name.rpartition(".")
            if number.isdigit():
                numbers[unit] = max(numbers.get(unit, 0), int(number))
        return numbers

    def take(self, unit: str, latest: dict[str, int]) -> bool:
        """Claim a unit; False when a living worker has it, or was faster."""
        number = latest.get(unit, 0)
        if number and self._owner_lives(unit, number):
            return False
        path = self.folder / f"{unit}.{number + 1}"
        try:
            try:
                os.link(self.heartbeat.claim, path)
            except FileNotFoundError:  # this worker's first claim
                self.folder.mkdir(parents=True, exist_ok=True)
                write_text(self.heartbeat.claim, json.dumps({"worker": self.heartbeat.name, "machine": machine()}))
                os.link(self.heartbeat.claim, path)
        except FileExistsError:
            return False
        self.held[unit] = number + 1
        return True

    def _owner_lives(self, unit: str, number: int) -> bool:
        try:
            owner = json.loads((self.folder / f"{unit}.{number}").read_text())
        except FileNotFoundError:
            return True  # just released; the next poll knows more
        except ValueError:
            return False  # empty after a power cut
        return self.monitor.alive(owner["worker"], owner["machine"])

    def causes(self, unit: str, deaths: int) -> list[str]:
        """Why the workers ended that died at a unit."""
        causes = []
        for number in range(1, deaths + 1):
            path = self.folder / f"{unit}.{number}"
            try:
                causes.append(self.monitor.cause(json.loads(path.read_text())["worker"]))
            except (FileNotFoundError, ValueError):
                causes.append(KILLED)
        return causes

    def release(self, unit: str) -> None:
        """Remove the claims of a unit that is done, deaths included."""
        for number in range(1, self.held.pop(unit) + 1):
            (self.folder / f"{unit}.{number}").unlink(missing_ok=True)

    def give_back(self) -> None:
        """Remove this worker's own claims of what is not done, as if they had never been made; deaths stay counted."""
        for unit, number in self.held.items():
            (self.folder / f"{unit}.{number}").unlink(missing_ok=True)
        self.held.clear()
