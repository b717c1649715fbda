"""A process that answers requests over a pipe. Two of them can take turns, so that only one works at a time."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class RequestError(RuntimeError):
    """A request raised an error in the worker. The message is the last line of its traceback."""


class Worker:
    """A process that runs `python -m module` with additional environment variables, and answers requests."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call the worker's function `name`. Raises RequestError if the function raises."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((name, arguments), self._process.stdin)
        self._process.stdin.flush()
        good, answer = pickle.load(self._process.stdout)
        if not good:
            raise RequestError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def serve(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests until the pipe is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that output of libraries does not mix with the answers
    requests = sys.stdin.buffer
    while True:
        try:
            name, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = True, functions[name](*arguments)
        except Exception:
            answer = False, traceback.format_exc(limit=-1).strip().splitlines()[-1]
        pickle.dump(answer, answers)
        answers.flush()
