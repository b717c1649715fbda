"""The folder of a run: its files, loading it, and exporting it to other programs."""

from .folder import Run, RunError, load_run

__all__ = ["Run", "RunError", "load_run"]
