"""Show the phase, the totals and the time left of a run, and how many images are ok, failed and missing.

Takes a suite, or the folder of a run. The exit code is 0 while all is well, 1 where images have failed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cli.parsing import Parser, add_json, add_suite
from benchmarks.errors import ConfigError

EXAMPLES = """  python -m benchmarks status celeba64
  python -m benchmarks status runs/mine          a folder, whatever suite it is of
  python -m benchmarks status celeba64 --json"""


def add_arguments(parser: Parser) -> None:
    add_suite(parser, folder=True)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    folder = Path(options.suite)
    out, counts = _of_folder(folder) if folder.is_dir() else _of_suite(options)

    from benchmarks.cli.live import describe
    from benchmarks.engine.progress import read

    now = read(out)
    total: Counter[str] = sum((each for *_, each in counts), Counter())
    if options.json:
        rows = [{"method": method, "dataset": dataset, **each} for method, dataset, each in counts]
        print(json.dumps({"folder": str(out), "running": asdict(now) if now else None, "total": total, "images": rows}))
        return 1 if total["failed"] else 0
    for method, dataset, each in counts:
        print(f"{method:20} {dataset:14} {_text(each)}")
    if now:
        print(describe(now))
    elif total["missing"]:
        print("not running; the same `run` resumes it")
    else:
        print("complete")
    print(f"{out}: {_text(total)}")
    return 1 if total["failed"] else 0


def _text(counts: Counter[str]) -> str:
    return f"ok {counts['ok']:5}  failed {counts['failed']:4}  missing {counts['missing']:5}"


Counts = list[tuple[str, str, "Counter[str]"]]


def _of_suite(options: argparse.Namespace) -> tuple[Path, Counts]:
    from benchmarks.cli.suite import load, load_run

    stored = load_run(*load(options))
    counts: Counts = []
    for (method, dataset, _), key in stored.plan.leaf.items():
        rows, manifest = stored.rows(key), stored.plan.manifests[dataset]
        states: Counter[str] = Counter(rows[image].status if image in rows else "missing" for image in manifest.ids)
        states["failed"] += states.pop("blocked", 0) + len(manifest.failures)
        counts.append((method, dataset, states))
    return stored.out, counts


def _of_folder(out: Path) -> tuple[Path, Counts]:
    """Of the rows that were compacted last; a run that goes on has more."""
    from reports.frame import ReportError, read

    try:
        results = read(out)
    except FileNotFoundError as error:
        if any(out.glob("inversions/*/stage.json")):
            return out, _of_stages(out)
        raise ConfigError(f"{out} holds no run: it has neither results.parquet nor inversions") from error
    except ReportError as error:
        raise ConfigError(str(error)) from error
    rows = results.rows.assign(status=results.rows["status"].replace({"blocked": "failed"}))
    counts: Counts = []
    for (method, dataset), own in rows.groupby(["method", "dataset"], sort=False):
        worst: dict[str, set[Any]] = {s: set(own.loc[own["status"] == s, "image"]) for s in ("failed", "missing")}
        states = Counter({name: len(images) for name, images in worst.items()})
        states["ok"] = len(set(own["image"]) - worst["failed"] - worst["missing"])
        counts.append((str(method), str(dataset), states))
    return out, counts


def _of_stages(out: Path) -> Counts:
    """Of a run that has no tables yet: its stage runs, as their folders describe them."""
    from benchmarks.engine.store import InversionStore

    counts: Counts = []
    for path in sorted(out.glob("inversions/*/stage.json")):
        try:
            stage = json.loads(path.read_bytes())
        except ValueError:
            continue  # torn by a power cut
        states: Counter[str] = Counter(row.status for row in InversionStore(out, path.parent.name).rows().values())
        states["failed"] += states.pop("blocked", 0)
        counts.append(("+".join(each["stage"] for each in stage["stages"])[:20], stage["dataset"], states))
    return counts
