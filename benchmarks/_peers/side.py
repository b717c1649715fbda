"""Shared by the processes of both sides: build a work, check it, and time it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._clock import calibrate, sample

SAMPLES = 1024  # images that training repeats
STEPS = 20  # training steps whose losses are compared
SECONDS = 0.025  # of a sample
PAUSE = 0.015  # before a sample, until the other side's threads sleep: those of libgomp look for work for 10 ms
Arrays = list[NDArray[Any]]
Built = tuple[Callable[[], Any], Callable[[], Arrays]]  # the work, and a function that returns its results


class Side:
    """The works of one side, by kind: functions of PyTorch's variant, the initial weights and the work's arguments."""

    def __init__(self, kinds: Mapping[str, Callable[..., Built]]) -> None:
        self._kinds = kinds
        self._built: dict[str, tuple[Callable[[], Any], int]] = {}

    def build(self, variant: str, kind: str, weights: Arrays | None, arguments: tuple[Any, ...]) -> Arrays:
        """Build a work and warm it up. Returns its results."""
        work, results = self._kinds[kind](variant, weights, *arguments)
        arrays = results()
        self._built[variant] = work, calibrate(work, SECONDS)
        return arrays

    def sample(self, variant: str) -> float:
        """Seconds that a call of the work takes now."""
        work, calls = self._built[variant]
        time.sleep(PAUSE)
        work()
        return sample(work, calls)

    def rate(self, variant: str, seconds: float) -> float:
        """How often the work can be called per second, measured for so many seconds."""
        work, _ = self._built[variant]
        calls, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            work()
            calls += 1
        return calls / (time.perf_counter() - start)

    def forget(self) -> None:
        """Free the works."""
        self._built.clear()

    def served(self) -> dict[str, Callable[..., Any]]:
        """The functions that the process serves."""
        return {
            "build": self.build,
            "sample": self.sample,
            "rate": self.rate,
            "forget": self.forget,
            "cpu": time.process_time,
        }


def dropout_facts(x: NDArray[Any], g: NDArray[Any], out: NDArray[Any], grad: NDArray[Any]) -> Arrays:
    """Facts about dropout at rate 0.25 that must agree between libraries: the factors of elements that are kept.

    Raises ValueError if the fraction of zeros is far from the rate, or the masks of result and gradient differ.
    """
    kept = out != 0
    if abs(kept.mean() - 0.75) > 0.03 or not np.array_equal(kept, grad != 0):
        raise ValueError(f"dropout kept {kept.mean():.3f} of the elements: expected 0.75, in the gradient as well")
    return [np.array([(out[kept] / x[kept]).mean(), (grad[kept] / g[kept]).mean()])]


def largest_difference(ours: Arrays, theirs: Arrays) -> float:
    """The largest difference, relative to each array's largest value. Raises ValueError for other shapes or NaN."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise ValueError(f"results of shapes {a.shape} and {b.shape}, or not finite")
        if a.size:
            worst = max(worst, float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)))
    return worst
