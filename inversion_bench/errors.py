"""Errors that several packages raise and the command line answers with one line."""


class AssetMissingError(RuntimeError):
    """An asset is neither in the cache nor to be had; the message names it, its sources and the command."""
