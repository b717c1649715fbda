"""Run by `test_watch.py` within `distributed.watch`: the argument names the case, and rank 1 fails."""

from __future__ import annotations

import os
import signal
import sys
import time

from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.tensor import ones


def compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


with distributed.watch(seconds=1.5):
    here, what = distributed.world(), sys.argv[1]
    distributed.gather("all are here")
    if what == "compute" and here.rank == 0:
        compute(4)  # while the others wait
    if here.rank == 1:
        match what:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "sleep":
                time.sleep(60)
            case "raise":
                raise ValueError("of one")
            case "end":
                distributed.end("the reason of one", 3)
            case "leave":
                sys.exit()
            case "once more":
                layer = nn.Linear(2, 1)
                optimizer = distributed.DistributedOptimizer(nn.SGD(layer.parameters(), 0.1))
                optimizer.backward(layer(ones(3, 2)).mean(), 3)
    if what == "end of all":
        distributed.end("the reason of all", 3)
    if what != "once more":
        distributed.gather("all have gone on")
if what == "wait late" and here.rank == 1:
    time.sleep(3)
if what == "stop late" and here.rank == 1:
    os.kill(os.getpid(), signal.SIGSTOP)
