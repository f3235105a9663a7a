"""How far a run is: the phase, what is done, the time that is left, and the first means while it still inverts.

    DIR/work/progress.json   the state, for `status`; rewritten every few seconds and removed at the end
    DIR/work/phases.jsonl    what editing and scoring took, for later estimates

The process that supervises a run reads the rows that its workers write. It scores while they invert, so that means
appear early and less is left to score afterwards.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.engine.claims import machine
from benchmarks.engine.costs import Cost, kind_of, measured, shipped
from benchmarks.engine.machine import device_name
from benchmarks.engine.measure import score, stored_scores
from benchmarks.engine.run import Run
from benchmarks.engine.store import JsonLines, RowFiles
from inversion_bench.files import write_text
from reports.summary import headline

FILE, PHASES = Path("work") / "progress.json", Path("work") / "phases.jsonl"
WRITTEN_EVERY = 2.0  # seconds
SCORED_EVERY = 10.0
SCORING_SHARE = 0.25  # of the supervisor's time, at most, while others invert


@dataclass
class Part:
    """Images of a phase that cost alike. expected: seconds an image before any is measured, None if unknown."""

    title: str
    dataset: str
    todo: int
    kind: str = ""
    expected: float | None = None
    done: int = 0
    seconds: float = 0.0


@dataclass
class State:
    """What is shown. left: seconds, None while unknown; means: by data set, method and metric the mean and its n."""

    phase: str = "starting"
    done: int = 0
    total: int = 0
    left: float | None = None
    doing: str = ""
    means: dict[str, dict[str, dict[str, tuple[float, int]]]] = field(default_factory=dict)


class Progress:
    """Follows a run. Engine and workers call `tick` whenever something may have changed.

    Args:
        run: the run.
        show: is given the state, several times a second.
        early: whether to score while the run inverts.
    """

    def __init__(self, run: Run, show: Callable[[State], None] = lambda _: None, early: bool = True):
        self.run, self.show, self.early = run, show, early
        self.state = State()
        self.parts: dict[str, Part] = {}
        self._files: dict[str, RowFiles] = {}
        self._workers, self._began, self._written = 1, 0.0, 0.0
        self._scored: dict[str, int] = {}  # images of a stage run that were done when it was scored last
        self._next_scoring = 0.0

    def begin(
        self, phase: str, parts: Mapping[str, Part], files: Mapping[str, RowFiles] | None = None, workers: int = 1
    ) -> None:
        """Begin a phase.

        Args:
            phase: inverting, editing, scoring or reporting.
            parts: what is to be done.
            files: where rows of a part appear when an image is done; without any, `scored` says what is done.
            workers: that share it.
        """
        self.parts, self._files, self._workers = dict(parts), dict(files or {}), max(1, workers)
        for rows in self._files.values():
            for _ in rows.new_rows():
                pass  # what was there before
        self._began = time.monotonic()
        self._next_scoring = self._began + SCORED_EVERY
        self.state.doing = ""
        self.state.phase, self.state.total = phase, sum(part.todo for part in parts.values())
        self._update(force=True)

    def tick(self) -> None:
        """Read what is new, and say how far the run is."""
        for key, rows in self._files.items():
            for row in rows.new_rows():
                part = self.parts[key]
                part.done += 1
                part.seconds += row.get("seconds") or 0.0
                self.state.doing = f"{part.title} on {part.dataset}" if part.dataset else part.title
        self._update()
        if self.early and self.state.phase == "inverting" and time.monotonic() >= self._next_scoring:
            self._score()

    def scored(self, counts: Mapping[str, int], protocol: str, done: int) -> None:
        """Follow `measure.score`: what it is about to compute of each protocol, then what it has computed of one."""
        if not protocol:
            self.begin("scoring", {name: Part(name, "", count) for name, count in counts.items()})
            return
        self.parts[protocol].done += done
        self.state.doing = protocol
        self._update()

    def end(self) -> None:
        """End the phase, and note what it took."""
        done, spent = sum(part.done for part in self.parts.values()), time.monotonic() - self._began
        if self.state.phase in ("editing", "scoring"):
            self._note(self.state.phase, done, spent * self._workers)
        self.parts, self._files = {}, {}

    def _note(self, phase: str, items: int, seconds: float) -> None:
        """What a phase took on one worker."""
        if items:
            hash, device = self.run.plan.generator_hash, device_name(self.run.device)
            entry = Cost(device, hash, phase, round(seconds / items, 6), 0.0, items)
            JsonLines(self.run.out / PHASES).append(asdict(entry))

    def close(self) -> None:
        (self.run.out / FILE).unlink(missing_ok=True)

    def inverting(self, pending: Mapping[str, int]) -> dict[str, Part]:
        """Parts of the phase inverting: a part a stage run, with what earlier runs say that it takes."""
        known, plan = measured(self.run.out) + shipped(), self.run.plan
        device, parts = device_name(self.run.device), {}
        for stage_run in plan.stage_runs:
            kind = kind_of(stage_run.stage.identity())
            found = known.find(device, plan.generator_hash, kind)
            names = plan.methods_of(stage_run.key)
            title = names[0] if names else "+".join(stage.name for stage in stage_run.stages)
            expected = found[0].seconds if found else None
            parts[stage_run.key] = Part(title, stage_run.dataset, pending[stage_run.key], kind, expected)
        return parts

    def left(self) -> float | None:
        """Seconds, from what images of each part have taken so far; None while that is unknown."""
        elapsed = time.monotonic() - self._began
        if not any(part.seconds or part.expected for part in self.parts.values()):
            done = sum(part.done for part in self.parts.values())
            return elapsed / done * (self.state.total - done) if done else None
        by_kind: dict[str, list[Part]] = defaultdict(list)
        for part in self.parts.values():
            by_kind[part.kind].append(part)
        # Of each kind the seconds measured now, else those expected.
        spent, own, left, unknown = 0.0, {}, 0.0, 0
        for kind, parts in by_kind.items():
            done, seconds = sum(part.done for part in parts), sum(part.seconds for part in parts)
            own[kind] = seconds / done if done else parts[0].expected
            spent += seconds
            todo = sum(max(0, part.todo - part.done) for part in parts)
            each = own[kind]
            left += each * todo if each is not None else 0.0
            unknown += todo if each is None else 0
        if unknown:  # nobody has measured a stage that is still to come
            return None
        # Workers also load and save: what an hour of theirs has achieved so far is what the next one will.
        slower = elapsed * self._workers / spent if spent > 5.0 else 1.0
        return left * max(1.0, min(slower, 3.0)) / self._workers

    def _update(self, force: bool = False) -> None:
        now = time.monotonic()
        self.state.done = sum(part.done for part in self.parts.values())
        self.state.left = self.left()
        self.show(self.state)
        if force or now - self._written > WRITTEN_EVERY:
            self._written = now
            content = {**asdict(self.state), "process": os.getpid(), "machine": machine()}
            write_text(self.run.out / FILE, json.dumps(content) + "\n")

    def _score(self) -> None:
        """Score what is new of stored images, and read the means; skipped while another command scores."""
        began = time.monotonic()
        done = {key: self.parts[key].done for key in self.run.plan.leaf.values()}
        new = {key for key, count in done.items() if count > self._scored.get(key, 0)}
        try:
            with FileLock(self.run.out / "run.lock", timeout=0):
                self._note("scoring", score(self.run, only=new), time.monotonic() - began)
        except Timeout:
            new = set()
        self._scored |= {key: done[key] for key in new}
        if new:
            self.state.means = means(self.run)
            self.show(self.state)
        took = time.monotonic() - began
        self._next_scoring = time.monotonic() + max(SCORED_EVERY, took / SCORING_SHARE)


def means(run: Run) -> dict[str, dict[str, dict[str, tuple[float, int]]]]:
    """By data set, method and headline metric: the mean of the scores under the first seed that are stored, and
    their number."""
    by_dataset: dict[str, dict[str, dict[str, tuple[float, int]]]] = {}
    plan = run.plan
    shown = headline(plan.suite.headline, [info.name for protocol in plan.protocols for info in protocol.infos()])
    for protocol in plan.protocols:
        wanted = [info.name for info in protocol.infos() if info.name in shown]
        for (method, dataset), key in plan.shown.items() if wanted else ():
            scores = stored_scores(run, protocol, plan.stage_run(key), {})
            for name in wanted:
                values = [score.value for score in scores[name].values() if score.value is not None]
                if values:
                    own = by_dataset.setdefault(dataset, {}).setdefault(method, {})
                    own[name] = (sum(values) / len(values), len(values))
    return by_dataset


def read(out: Path) -> State | None:
    """The state of a run that goes on in a folder; None where none does. Of another machine, what it wrote last."""
    try:
        content = json.loads((out / FILE).read_text())
        process = content.pop("process")
        if content.pop("machine") == machine():
            os.kill(process, 0)  # raises where it was killed
    except (FileNotFoundError, ValueError, KeyError, ProcessLookupError):
        return None
    except PermissionError:
        pass  # another user's, which lives
    return State(**content)
