"""Who works on what: claims in the output folder, by which any number of processes share a run.

    DIR/work/workers/<name>          a worker: locked while it lives, with a counter that goes up while it lives
    DIR/work/workers/<name>.ended    how it ended, when that was not by itself
    DIR/work/claims/<key>/<image>.<n>  the n-th claim of an image (of a group: of its first image)

A claim appears whole and once (a hard link of a finished file), and goes when the image's row is written. One whose
worker is dead counts as a death at that image; the next claim has the next number. Nothing here asks what time it is:
clocks jump. A worker on this machine lives while its lock is held; one on another machine, where locks cannot be
trusted, while its counter has moved within PATIENCE of the watcher's own seconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import threading
import time
import uuid
from pathlib import Path

from benchmarks.engine.store import write_atomically

BEAT = 5.0
PATIENCE = 60.0
RETRIES = 3  # of an image at which a worker died


def machine() -> str:
    """The same for all processes under one kernel, where file locks can be trusted."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else platform.node()


class Presence:
    """This process's sign of life, until `close` or its death."""

    def __init__(self, out: Path, name: str = ""):
        self.name = name or f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.path = out / "work" / "workers" / self.name
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        beats = 0
        while not self._stopped.is_set():
            beats += 1
            os.pwrite(self._handle, b"%020d" % beats, 0)
            self._stopped.wait(BEAT)

    def ended(self, why: str) -> None:
        """Leave word of why this worker is about to end."""
        write_ending(self.path, why)

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.path.unlink(missing_ok=True)
        os.close(self._handle)


def write_ending(worker: Path, why: str) -> None:
    """Say how a worker ended, unless it said so itself."""
    path = worker.with_name(f"{worker.name}.ended")
    if not path.exists():
        write_atomically(path, why.encode())


class Watch:
    """Which workers live, as far as this process can tell."""

    def __init__(self, out: Path):
        self.folder = out / "work" / "workers"
        self._seen: dict[str, tuple[bytes, float]] = {}

    def lives(self, name: str, where: str) -> bool:
        path = self.folder / name
        if path.with_name(f"{name}.ended").exists():
            return False
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return _locked(handle) if where == machine() else self._moves(name, os.pread(handle, 20, 0))
        finally:
            os.close(handle)

    def _moves(self, name: str, beat: bytes) -> bool:
        now = time.monotonic()
        old, since = self._seen.setdefault(name, (beat, now))
        if beat != old:
            self._seen[name] = (beat, now)
            return True
        return now - since < PATIENCE

    def ending(self, name: str) -> str:
        path = self.folder / f"{name}.ended"
        return path.read_text() if path.exists() else "it was killed"


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


class Claims:
    """The claims of one stage run, as one worker sees and makes them."""

    def __init__(self, out: Path, key: str, presence: Presence, watch: Watch):
        self.folder = out / "work" / "claims" / key
        self.presence, self.watch = presence, watch
        self.held: set[str] = set()

    def standing(self) -> dict[str, int]:
        """Units that are claimed, by living workers or dead ones, with the number of their last claim."""
        found: dict[str, int] = {}
        for name in os.listdir(self.folder) if self.folder.exists() else ():
            unit, _, number = name.rpartition(".")
            if number.isdigit():
                found[unit] = max(found.get(unit, 0), int(number))
        return found

    def take(self, unit: str, standing: dict[str, int]) -> bool:
        """Claim a unit; False when a living worker has it, or was faster."""
        number = standing.get(unit, 0)
        if number and self._owner_lives(unit, number):
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = self.folder / f".{uuid.uuid4().hex}.tmp"
        try:
            whole.write_text(json.dumps({"worker": self.presence.name, "machine": machine()}))
            os.link(whole, self.folder / f"{unit}.{number + 1}")
        except FileExistsError:
            return False
        finally:
            whole.unlink(missing_ok=True)
        self.held.add(unit)
        return True

    def _owner_lives(self, unit: str, number: int) -> bool:
        try:
            owner = json.loads((self.folder / f"{unit}.{number}").read_text())
        except FileNotFoundError:
            return True  # just let go; whoever looks next knows more
        except ValueError:
            return False  # empty after a power cut
        return self.watch.lives(owner["worker"], owner["machine"])

    def endings(self, unit: str, deaths: int) -> list[str]:
        """How the workers ended that died at a unit."""
        found = []
        for number in range(1, deaths + 1):
            path = self.folder / f"{unit}.{number}"
            try:
                found.append(self.watch.ending(json.loads(path.read_text())["worker"]))
            except (FileNotFoundError, ValueError):
                found.append("it was killed")
        return found

    def release(self, unit: str) -> None:
        """Let go of a unit that is done, and forget the deaths at it."""
        for path in list(self.folder.iterdir()):
            if path.name.rpartition(".")[0] == unit:
                path.unlink(missing_ok=True)
        self.held.discard(unit)

    def give_back(self) -> None:
        """Let go of what this worker holds and has not done, as if it had never been claimed; deaths stay counted."""
        for unit in list(self.held):
            number = self.standing().get(unit, 0)
            if number:
                (self.folder / f"{unit}.{number}").unlink(missing_ok=True)
            self.held.discard(unit)
