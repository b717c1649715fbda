"""The base classes of this package's errors. Their messages are one line each."""


class MistakeError(ValueError):
    """The request is invalid: the user has to change it."""

    status = 2
    """The exit status of a command that raises it."""


class FailureError(RuntimeError):
    """The request is valid, but it failed."""

    status = 1
    """The exit status of a command that raises it."""
