"""What the commands' arguments have in common; nothing here imports torch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.errors import ConfigError
from inversion_bench.registry import Registry, load_object, unknown

SUITES = Path(__file__).parents[1] / "suites"
WORLD = "celeba64"  # the embedded suite


class Parser(argparse.ArgumentParser):
    """argparse that says in one line what is wrong, with the near miss. Settings may stand behind options."""

    def __init__(self, **settings: Any):
        self.option_names: list[str] = []
        self.suggested: list[str] = []
        super().__init__(
            allow_abbrev=False, formatter_class=lambda prog: _Help(prog, max_help_position=28, width=110), **settings
        )

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        action = super().add_argument(*names, **settings)
        if known := getattr(settings.get("type"), "known", None):
            action.completer = lambda **_: known()  # type: ignore[attr-defined]  # read by argcomplete
        self.option_names += action.option_strings
        if settings.get("help") != argparse.SUPPRESS:
            self.suggested += [name for name in action.option_strings if name.startswith("--")]
        return action

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Raises ConfigError for whatever is wrong with the words."""
        for word in words:
            name = word.partition("=")[0]
            if re.match(r"--?[a-zA-Z]", name) and name not in self.option_names:
                self.error(str(unknown("option", name, self.suggested)))
        options = self.parse_intermixed_args(words)
        for name, value in vars(options).items():  # a shell leaves ~ as it is after `=` and in quotes
            if isinstance(value, Path):
                setattr(options, name, value.expanduser())
            elif isinstance(value, list):
                setattr(options, name, [path.expanduser() if isinstance(path, Path) else path for path in value])
        return options

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see `{self.prog} --help`")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wrapped help of arguments; descriptions and examples as they are written."""


def one_of(kind: str, known: Sequence[str]) -> Callable[[str], str]:
    """A type of argument: one of the known words; the message for another one has the near miss."""

    def check(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(str(unknown(kind, text, known)))
        return text

    return _completed(check, lambda: known)


def _completed(check: Callable[[str], str], known: Callable[[], Sequence[str]]) -> Callable[[str], str]:
    """A type of argument whose words a shell can complete."""
    check.known = known  # type: ignore[attr-defined]
    return check


def at_least(least: float, kind: type = int) -> Callable[[str], Any]:
    """A type of argument: a number that is not below `least`."""

    def check(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} of at least {least:g}, found {text!r}")
        return value

    return check


def registered(registry: str) -> Callable[[str], str]:
    """A type of argument: a name of a registry that `package.module:NAME` names, or a YAML file."""

    def check(text: str) -> str:
        known: Registry[Any] = load_object(registry)
        if not (text in known or text.endswith((".yaml", ".yml"))):
            raise argparse.ArgumentTypeError(str(unknown(known.kind, text, known.names())))
        return text

    return _completed(check, lambda: load_object(registry).names())


def suite_name(text: str) -> str:
    """A type of argument: a shipped suite or a YAML file; checked before anything heavy is loaded."""
    if text.endswith((".yaml", ".yml")):
        if not Path(text).is_file():
            raise argparse.ArgumentTypeError(f"no suite file {text!r}")
        return text
    return one_of("suite", suite_names())(text)


def suite_names() -> list[str]:
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


_completed(suite_name, suite_names)


def device_name(text: str) -> str:
    """A type of argument: the name of a device, which need not be there."""
    if re.fullmatch(r"cuda:\d+", text):
        return text
    return one_of("device", ["auto", "cpu", "cuda", "cuda:N", "mps"])(text)


def name_list(text: str) -> list[str]:
    """A type of argument: names with commas between them."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"expected names with commas between them, found {text!r}")
    return names


def suite_or_folder(text: str) -> str:
    """A type of argument: a suite, or the folder of a run."""
    return text if Path(text).is_dir() else suite_name(text)


_completed(suite_or_folder, suite_names)


def seed_list(text: str) -> list[int]:
    """A type of argument: whole numbers with commas between them."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected whole numbers as in 0,1,2, found {text!r}") from None


def add_suite(parser: Parser, folder: bool = False) -> None:
    """Arguments of a suite. folder: whether the folder of a run may be given instead."""
    parser.add_argument(
        "suite",
        type=suite_or_folder if folder else suite_name,
        metavar="SUITE|DIR" if folder else "SUITE",
        help="a shipped suite (see `list suites`) or a YAML file" + ", or the folder of a run" * folder,
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings, e.g. seed=1 or datasets.0.limit=4")
    parser.add_argument("--methods", type=name_list, metavar="A,B", help="only these methods")
    parser.add_argument("--datasets", type=name_list, metavar="A,B", help="only these data sets")
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="only N images of each data set")
    parser.add_argument(
        "--seeds", type=seed_list, metavar="A,B", help="run all under each of these seeds; tables hold means over them"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: runs/SUITE, with other settings a folder named after them)",
    )


def add_replace(parser: Parser) -> None:
    parser.add_argument(
        "--replace", action="store_true", help="write tables into --out although it has those of other settings"
    )


def add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_device(parser: Parser) -> None:
    parser.add_argument(
        "--device",
        type=device_name,
        default="auto",
        metavar="NAME",
        help="auto (default: CUDA, else MPS, else the CPU), cpu, cuda, cuda:N or mps",
    )


def wandb_mode(text: str) -> str:
    """A type of argument: how to log to Weights & Biases, whose package has to be there."""
    mode = one_of("mode", ["offline", "online"])(text)
    if find_spec("wandb") is None:
        raise argparse.ArgumentTypeError("needs wandb, which is not installed: pip install 'inversion-bench[wandb]'")
    return mode


def add_wandb(parser: Parser) -> None:
    parser.add_argument(
        "--wandb",
        type=wandb_mode,
        metavar="offline|online",
        help="also log to Weights & Biases; `run` does so while it is running",
    )
