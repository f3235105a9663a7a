"""Package attributes that are imported at their first use (PEP 562), so that `import metrics` costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inversion_bench.registry import load_object


def attach(package: str, targets: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        targets: attributes, each with its "module:name".

    Example:
        >>> getattr_, dir_ = attach("shapes", {"hypotenuse": "math:hypot"})
        >>> getattr_("hypotenuse")(3, 4), dir_()
        (5.0, ['hypotenuse'])
    """

    def __getattr__(name: str) -> Any:
        if name not in targets:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return load_object(targets[name])

    return __getattr__, lambda: sorted(targets)
