"""`stackgrad-mnist` with a fault in one rank: FAULT names the fault, and VICTIM the rank."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stackgrad.mnist import data
from stackgrad.mnist.cli import main
from stackgrad.mnist.commands import _options, _start
from stackgrad.mnist.data.idx import IdxError
from stackgrad.mnist.runs.checkpoints import Checkpoints
from stackgrad.mnist.runs.process import versions
from stackgrad.mnist.training.steps import Training

AT_STEP = 7  # counted from the start of this process


def strikes(work: Callable[[], Any]) -> Callable[[], Any]:
    """`work`, but first the time at which the fault begins is written to a file."""

    def noted() -> Any:
        Path("struck").write_text(str(time.time()), encoding="utf-8")
        return work()

    return noted


def in_a_step(work: Callable[[], Any]) -> None:
    schedule = Training._batches
    steps = []

    def batches(self: Training) -> Any:
        for index in schedule(self):
            steps.append(self.step)
            if len(steps) == AT_STEP:
                strikes(work)()
            yield index

    Training._batches = batches  # type: ignore[method-assign]


def in_a_checkpoint(work: Callable[[], Any]) -> None:
    save = Checkpoints.save

    def failing(self: Checkpoints, step: int, state: Any) -> None:
        if step:
            strikes(work)()
        save(self, step, state)

    Checkpoints.save = failing  # type: ignore[method-assign]


def raise_(error: BaseException) -> None:
    raise error


def write_to_a_pipe() -> None:
    os.mkfifo("pipe")
    with open("pipe", "w", encoding="utf-8"):  # blocks, since no process reads it
        pass


def sleep_for_ever() -> None:
    while True:
        time.sleep(0.1)


def other_image(load: Callable[..., data.Dataset]) -> Callable[..., data.Dataset]:
    def loaded(*arguments: Any) -> data.Dataset:
        found = load(*arguments)
        images = found.train.images.copy()
        images[0, 0, 0] += 1
        return data.Dataset(data.Split(images, found.train.labels), found.test, found.name)

    return loaded


def strike(fault: str) -> None:
    """Prepare a fault in this process."""
    me = os.getpid()
    match fault:
        case "raises":
            in_a_step(lambda: raise_(ZeroDivisionError("a mistake of ours")))
        case "is killed":
            in_a_step(lambda: os.kill(me, signal.SIGKILL))
        case "is stopped":
            in_a_step(lambda: os.kill(me, signal.SIGSTOP))
        case "crashes":
            in_a_step(lambda: ctypes.string_at(0))
        case "exits":
            in_a_step(lambda: os._exit(3))
        case "sleeps":
            in_a_step(sleep_for_ever)
        case "is blocked by a disk":
            in_a_checkpoint(write_to_a_pipe)
        case "finds a full disk":
            in_a_checkpoint(lambda: raise_(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoints/step")))
        case "is stopped at once":
            strikes(lambda: os.kill(me, signal.SIGSTOP))()
        case "finds no data":
            _options.load = lambda *_: strikes(lambda: raise_(IdxError("no train-images there")))()
        case "finds other data":
            _options.load = other_image(_options.load)
        case "has another version":
            _start.versions = lambda: versions() | {"numpy": "1.0"}
        case "":
            pass
        case _:
            raise ValueError(fault)


if __name__ == "__main__":
    rank = int(os.environ["PMI_RANK"])
    Path(f"pid{rank}").write_text(str(os.getpid()), encoding="utf-8")
    if rank == int(os.environ.get("VICTIM", "0")):
        strike(os.environ.get("FAULT", ""))
    main(prog_name="stackgrad-mnist")
