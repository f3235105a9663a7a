"""What OmegaConf refuses, in a line that a user understands."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from inversion_bench.registry import near_miss


def explain(error: Exception, owner: str) -> str:
    """The first line of an error, or of a setting that does not exist its name, the near miss and the known ones.

    Args:
        error: of OmegaConf, or of reading the file.
        owner: whose settings they are, as "a suite".
    """
    message = (str(error).strip() or type(error).__name__).splitlines()[0]
    key, kind = getattr(error, "key", None), getattr(error, "object_type", None)
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and key is not None and is_dataclass(kind):
        known = [field.name for field in fields(kind)]
        listed = ", ".join(known) or "none"
        return f"{str(key)!r} is not a setting of {owner}: {near_miss(str(key), known)}known: {listed}"
    # OmegaConf says it in the names of its own classes.
    return "expected a list, such as [a, b]" if "is not a ListConfig" in message else message
