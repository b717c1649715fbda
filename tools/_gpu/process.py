"""Run a part in its own process: a fault of the device there does not affect the others. Results arrive one by one."""

from __future__ import annotations

import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

from tools._gpu import surroundings
from tools._gpu.report import Check, Result, Results

ROOT = Path(__file__).resolve().parents[2]
SILENCE = 3600  # seconds without a result after which a part is stopped


class _Sent(Results):
    """Results that are sent to the parent."""

    def __init__(self, send: Callable[[Result], None]) -> None:
        self._send = send

    def add(self, result: Result) -> None:
        self._send(result)


def do_part(part: str, arguments: Namespace, send: Callable[[Result], None]) -> None:
    """Run it in this process, and send each result at once."""
    results = _Sent(send)
    try:
        surroundings.make_importable(ROOT)
        from tools._gpu.runs import RUNS

        RUNS[part](results, arguments)
    except Exception as error:
        traceback.print_exc()
        results.failure(part, error)


def results_of(part: str, arguments: Namespace) -> Iterator[Result]:
    """Run it in its own process, and yield each result as it arrives."""
    context = get_context("spawn")  # an initialised CUDA does not work in a fork
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=do_part, args=(part, arguments, there.send), daemon=True)
    process.start()
    there.close()
    try:
        while here.poll(SILENCE):
            yield here.recv()
        yield Check(part, False, f"stopped after {SILENCE // 60} minutes without a result")
    except EOFError:
        process.join(60)  # seconds to release the device
        if process.exitcode != 0:
            yield Check(part, False, f"its process ended with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()
