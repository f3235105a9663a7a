"""Errors that several packages raise and the command line answers with one line."""


class SetupError(RuntimeError):
    """Something outside the program is not as it has to be; the message says what, and the fix."""


class AssetMissingError(SetupError):
    """An asset is neither in the cache nor to be had; the message names it, its sources and the command."""
