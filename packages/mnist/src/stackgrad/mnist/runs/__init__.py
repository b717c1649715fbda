"""The folder of a run: what training leaves in it, reading it again, and what is made of it for other programs."""

from .folder import Run, RunError, load_run

__all__ = ["Run", "RunError", "load_run"]
