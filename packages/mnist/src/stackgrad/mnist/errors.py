"""The two ways in which a command cannot go on: each error of this package is one of them, and its message one line."""


class MistakeError(ValueError):
    """What was asked for cannot be: the user has to ask for something else."""

    status = 2
    """The exit status of a command that ends so."""


class FailureError(RuntimeError):
    """What was asked for did not work."""

    status = 1
    """The exit status of a command that ends so."""
