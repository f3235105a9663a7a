"""Notes of a command: to stderr, beside progress bars, and to a log file in its folder of results."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from benchmarks.cli.parsing import Parser

PACKAGES = ("benchmarks", "datasets", "inversion_bench", "methods", "metrics", "reports")
FILE = "log.txt"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--quiet", action="store_true", help="only warnings and errors, no progress")
    parser.add_argument("-v", "--verbose", action="store_true", help="more notes")
    parser.add_argument("--debug", action="store_true", help="raise the first error with its traceback; implies -v")


class _Stderr(logging.Handler):
    """Writes to whatever stderr is now, above progress bars. Of other packages only warnings and errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name.split(".")[0] in PACKAGES

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if tqdm := sys.modules.get("tqdm"):
            tqdm.tqdm.write(text, file=sys.stderr)
        else:
            sys.stderr.write(f"{text}\n")


class _File(logging.FileHandler):
    """A full disk stops a run where results are written, not where notes are."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def set_up(quiet: bool = False, verbose: bool = False) -> None:
    """Send the suite's notes to stderr: warnings and errors where it is quiet, all where it is verbose."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # without the line of code that warns
    handler = _Stderr(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    _replace(_Stderr, handler)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.DEBUG)
    # Read when tqdm is imported, so before a command is: here and in workers.
    os.environ.pop("TQDM_DISABLE", None)
    if quiet:
        os.environ["TQDM_DISABLE"] = "1"


def log_into(folder: Path, worker: str = "") -> None:
    """Also write all notes, with tracebacks, to FOLDER/log.txt; a worker's to FOLDER/work/logs/WORKER.txt."""
    path = folder / "work" / "logs" / f"{worker}.txt" if worker else folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _File(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _replace(_File, handler)


def close_files() -> None:
    _replace(_File, None)


def _replace(kind: type[logging.Handler], handler: logging.Handler | None) -> None:
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, kind)]:
        root.removeHandler(old)
        old.close()
    if handler:
        root.addHandler(handler)
