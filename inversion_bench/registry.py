"""One lazy registry for methods, generators, metrics, protocols, data sets, region parsers, attributes and executors.

A name is looked up in the suite's own table, then among the entry points of installed packages; `package.module:Name`
names any object that can be imported. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class UnknownNameError(ValueError, KeyError):
    """A name that nothing is registered under; the message has the near miss and all known names."""

    def __str__(self) -> str:  # KeyError would quote the message
        return str(self.args[0])


def near_miss(word: str, known: Iterable[str]) -> str:
    """ "did you mean 'x'? " for the known word that is nearest to `word`; "" when none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def unknown(kind: str, word: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a word that is not among the known ones."""
    names = list(known)
    return UnknownNameError(f"unknown {kind} {word!r}: {near_miss(word, names)}known: {', '.join(names) or 'none'}")


def load_object(target: str) -> Any:
    """Import the object that `package.module:Name` names; `package.module:function:a:b` is `function` with arguments.

    Raises:
        ValueError: the target has another form, or it cannot be imported; the message names it and the reason.

    Example:
        >>> load_object("math:hypot")(3, 4)
        5.0
    """
    module, _, rest = target.partition(":")
    name, *arguments = rest.split(":")
    if not module or not name:
        raise ValueError(f"{target!r} names no object; expected package.module:Name")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{target!r} cannot be imported ({type(error).__name__}: {error})") from error
    return partial(found, *arguments) if arguments else found


def search_beside(file: str | Path) -> None:
    """Make modules in the folder of `file` importable. The folder is put last in sys.path, so it hides no package."""
    folder = str(Path(file).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def call(builder: Callable[..., T], what: str, options: Mapping[str, Any]) -> T:
    """Call `builder` with options that a user wrote.

    Args:
        builder: a function or class; its signature says which options it takes.
        what: what messages call it, as "data set 'folder'".
        options: keyword arguments.

    Raises:
        TypeError: an option is unknown (with the near miss) or a required one is missing.
    """
    known = inspect.signature(builder).parameters
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise TypeError(f"{what} has no option {option!r}: {near_miss(option, known)}options: {listed}")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise TypeError(f"{what} needs the option {option!r}")
    return builder(**options)


class Registry(Generic[T]):
    """Objects of one kind by name.

    Args:
        kind: what messages call such an object, as "data set".
        table: the suite's own names, each with its "package.module:Name", as `load_object` takes it.
        group: the entry point group in which installed packages add names, as "inversion_bench.metrics".
        aliases: former names, each with the present one.

    Example:
        >>> shapes = Registry("shape", {"circle": "math:pi"}, "example.shapes")
        >>> shapes.names(), round(shapes.get("circle"), 2), round(shapes.get("math:e"), 2)
        (['circle'], 3.14, 2.72)
    """

    def __init__(self, kind: str, table: Mapping[str, str], group: str, aliases: Mapping[str, str] | None = None):
        self.kind, self.table, self.group, self.aliases = kind, dict(table), group, dict(aliases or {})
        self._built_in = frozenset(table)

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        points: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in points or point.name in self._built_in:
                raise ValueError(f"two packages register a {self.kind} called {point.name!r}: {point.value}")
            points[point.name] = point
        return points

    def names(self) -> list[str]:
        """All names, the suite's own first; imports nothing."""
        return [*self.table, *(name for name in self._installed if name not in self.table)]

    def __contains__(self, name: str) -> bool:
        return ":" in name or name in self.aliases or name in self.table or name in self._installed

    def register(self, name: str, target: str) -> None:
        """Add a name, in this process only; one that was added before may be replaced.

        Raises:
            ValueError: the suite itself or an installed package has another object of that name.
        """
        taken = self._built_in | self._installed.keys() | self.aliases.keys()
        if name in taken and self.target(name) != target:
            raise ValueError(f"{target} is a {self.kind} called {name!r}, as is {self.target(name)}; rename it")
        self.table[name] = target

    def target(self, name: str) -> str:
        """The "package.module:Name" that a name stands for. Raises UnknownNameError."""
        name = self.aliases.get(name, name)
        if ":" in name:
            return name
        if name in self.table:
            return self.table[name]
        if name in self._installed:
            return self._installed[name].value
        raise unknown(self.kind, name, self.names())

    def get(self, name: str) -> T:
        """The object, imported now. Raises UnknownNameError, or ValueError where it cannot be imported."""
        found: T = load_object(self.target(name))
        return found
