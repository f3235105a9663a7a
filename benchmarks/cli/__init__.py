"""The command line, `inversion-bench COMMAND`, also `python -m benchmarks COMMAND`: a module a command, which is
imported when it is called.

Such a module has `add_arguments(parser)` and `run(options) -> int`, and imports whatever is heavy inside of `run`. Its
docstring and its `EXAMPLES` are what `COMMAND --help` shows.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from benchmarks.cli import logs
from benchmarks.cli.parsing import Parser
from benchmarks.errors import ConfigError, StoppedError
from inversion_bench.errors import SetupError
from inversion_bench.registry import UnknownNameError, unknown
from inversion_bench.version import version

logger = logging.getLogger(__name__)

COMMANDS = {
    "demo": ("benchmarks.cli.demo", "three methods and two edits on photographs, with a table and a picture sheet"),
    "bench": ("benchmarks.cli.bench", "benchmark methods on a folder of photographs"),
    "plan": ("benchmarks.cli.plan", "show what a suite would run, what it takes and what is missing"),
    "run": ("benchmarks.cli.run", "invert, score and report; what is done already is kept"),
    "score": ("benchmarks.cli.score", "compute the missing scores of stored inversions, and report"),
    "report": ("benchmarks.cli.report", "write tables and figures from stored results"),
    "status": ("benchmarks.cli.status", "show how far a run is: images ok, failed and missing, and the time left"),
    "compare": ("benchmarks.cli.compare", "compare two finished runs, paired by image"),
    "merge": ("benchmarks.cli.merge", "merge the results of several machines"),
    "leaderboard": ("benchmarks.cli.leaderboard", "put results of several runs on one static page"),
    "study": ("benchmarks.cli.study", "a blind test of two methods' images by people, and its evaluation"),
    "list": ("benchmarks.cli.listing", "list methods, datasets, metrics, directions, suites or assets"),
    "fetch": ("benchmarks.cli.fetch", "download and verify weights and images"),
    "train": ("benchmarks.cli.train", "train a generator, an encoder, a hypernetwork or edit directions"),
    "invert": ("benchmarks.cli.invert", "align and invert photographs"),
    "edit": ("benchmarks.cli.edit", "invert photographs and move them along edit directions"),
    "export": ("benchmarks.cli.export", "write a generator, tuned or not, as a file that other programs read"),
}
BY_MODULE, BY_NAME = "python -m benchmarks", "inversion-bench"
HELP = """usage: python -m benchmarks COMMAND ...

A benchmark suite for StyleGAN inversion. `python -m benchmarks COMMAND --help` explains a command.

commands:
{commands}

examples:
  python -m benchmarks demo photo.jpg                     three methods and two edits on a photograph, in two minutes
  python -m benchmarks bench photos                       a table of methods on a folder of photographs of your own
  python -m benchmarks run celeba64                       invert, score and report the embedded suite
  python -m benchmarks run celeba64 --limit 4             the same with fewer images
  python -m benchmarks plan celeba64                      what would run, and what is missing
  python -m benchmarks compare runs/a runs/b              two versions of the code, paired by image
  python -m benchmarks invert pti photo.jpg --out out     align and invert any photograph

exit codes:
  0    complete
  1    some images failed, or the run had to stop; the same command resumes it
  2    a wrong command, option or setting, or missing files; nothing was started
  130  interrupted; the same command resumes it
A metric that is undefined for an image, such as an angle where no face is found, is not a failure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; returns its exit code."""
    if "_ARGCOMPLETE" in os.environ:
        complete()
    for stream in (sys.stdout, sys.stderr):  # names of files that are not UTF-8 are printed as escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words or words[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:11} {about}" for name, (_, about) in COMMANDS.items())
        print(named(HELP.format(commands=listed)))
        return 0 if words else 2
    if words[0] == "--version":
        print(f"inversion-bench {version()}")
        return 0
    logs.set_up("--quiet" in words)
    debug = "--debug" in words
    try:
        command, options = parse(words)
        logs.set_up(options.quiet, options.verbose or options.debug)
        signal.signal(signal.SIGTERM, _interrupt)
        code: int = command.run(options)
        return code
    except (ConfigError, UnknownNameError, SetupError) as error:
        logger.error("%s", error, exc_info=debug)
        return 2
    except ImportError as error:
        logger.error(
            "a library cannot be loaded (%s); is it installed (pip install -e .), and is there enough memory "
            "(ulimit -v)?", str(error).splitlines()[0], exc_info=debug,
        )  # fmt: skip
        return 2
    except MemoryError as error:
        logger.error("out of memory %s\nstopped; what was done is kept", error, exc_info=debug)
        return 1
    except (OSError, StoppedError) as error:
        logger.error("%s\nstopped; what was done is kept, run the same command to resume", error, exc_info=debug)
        return 1
    except KeyboardInterrupt:
        logger.error("interrupted; what was done is kept, run the same command to resume", exc_info=debug)
        return 130
    finally:
        logs.close_files()


def program() -> str:
    """How the command line was called, for what it prints."""
    return BY_MODULE if sys.argv[0].endswith(os.path.join("benchmarks", "__main__.py")) else BY_NAME


def named(text: str) -> str:
    """A text with the command line's name as it was called."""
    return text.replace(BY_MODULE, program())


def parser_of(name: str) -> tuple[ModuleType, Parser]:
    """The module of a command and its parser."""
    module = import_module(COMMANDS[name][0])
    parser = Parser(
        prog=f"{program()} {name}", description=module.__doc__, epilog=named(f"examples:\n{module.EXAMPLES}")
    )
    module.add_arguments(parser)
    logs.add_arguments(parser)
    return module, parser


def complete() -> None:
    """Complete the words of a shell, and end: `eval "$(register-python-argcomplete inversion-bench)"` turns it on."""
    import argcomplete

    everything = argparse.ArgumentParser(prog=program())
    commands = everything.add_subparsers()
    words = os.environ.get("COMP_LINE", "").split()
    wanted = words[1:2] if words[1:2] and words[1] in COMMANDS else COMMANDS
    for name in wanted:
        commands.add_parser(name, parents=[parser_of(name)[1]], add_help=False)
    argcomplete.autocomplete(everything)


def parse(words: Sequence[str]) -> tuple[ModuleType, argparse.Namespace]:
    """The module of a command and its options. Raises ConfigError with the near miss."""
    name, *rest = words
    if name not in COMMANDS:
        raise ConfigError(str(unknown("command", name, COMMANDS)))
    module, parser = parser_of(name)
    return module, parser.parse(rest)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
