"""How a command ends early; in a module of its own so that `--help` loads nothing else."""


class ConfigError(ValueError):
    """A suite or an override that cannot be run; nothing has been started."""


class StoppedError(RuntimeError):
    """A run that ended early; what it had done is kept."""
