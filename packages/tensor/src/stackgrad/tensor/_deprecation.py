"""Warnings about deprecated names."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_warned: set[tuple[str, str, int]] = set()


def warn_deprecated(old: str, instead: str, removed_in: str) -> None:
    """Warn, once for each line outside stackgrad that uses `old`, whatever the warning filter.

        def relu_(x):
            warn_deprecated("relu_", instead="relu", removed_in="stackgrad-tensor 0.4")

    The warning is a DeprecationWarning at that line, even if stackgrad functions are in between.
    """
    frame: FrameType = sys._getframe(1)
    level = 2  # the stack level of the frame, counted by warnings.warn from here
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("stackgrad."):
        frame = frame.f_back
        level += 1
    site = (old, frame.f_code.co_filename, frame.f_lineno)
    if site not in _warned:
        message = f"{old} is deprecated and will be removed in {removed_in}: use {instead}"
        warnings.warn(message, DeprecationWarning, stacklevel=level)
        _warned.add(site)  # not reached if the filter turns the warning into an error: then every use raises
