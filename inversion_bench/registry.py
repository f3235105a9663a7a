"""One lazy registry for methods, generators, metrics, protocols, data sets, region parsers, attributes and executors.

A name is looked up in the suite's own table, then among the entry points of installed packages; `package.module:Name`
names any object that can be imported. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
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
    return UnknownNameError(f"unknown {kind} {word!r}: {near_miss(word, names)}known: {', '.join(names)}")


def load_object(target: str) -> Any:
    """The object that `package.module:Name` names, or `package.module:Name.attribute`.

    Raises:
        ValueError: the target has another form, or it cannot be imported; the message names it and the reason.
    """
    module, separator, path = target.partition(":")
    if not separator or not module or not path:
        raise ValueError(f"{target!r} names no object; expected package.module:Name")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{target!r} cannot be imported ({type(error).__name__}: {error})") from error
    return found


class Registry(Generic[T]):
    """Objects of one kind by name.

    Args:
        kind: what messages call such an object, as "data set".
        table: the suite's own names, each with its "package.module:Name".
        group: the entry point group in which installed packages add names, as "inversion_bench.metrics".
        aliases: former names, each with the present one.
    """

    def __init__(self, kind: str, table: Mapping[str, str], group: str, aliases: Mapping[str, str] | None = None):
        self.kind, self.table, self.group, self.aliases = kind, dict(table), group, dict(aliases or {})

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in found or point.name in self.table:
                raise ValueError(f"two packages register a {self.kind} called {point.name!r}: {point.value}")
            found[point.name] = point
        return found

    def names(self) -> list[str]:
        """All names, the suite's own first; imports nothing."""
        return [*self.table, *self._installed]

    def __contains__(self, name: str) -> bool:
        return ":" in name or name in self.aliases or name in self.table or name in self._installed

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
