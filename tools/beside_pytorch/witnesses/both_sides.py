"""Helpers for witnesses; `witness` registers them by the row's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import stackgrad.tensor as sg

WITNESSES: dict[str, Callable[[], None]] = {}


def witness(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that shows the difference of the row with that name."""

    def keep(function: Callable[[], None]) -> Callable[[], None]:
        WITNESSES[name] = function
        return function

    return keep


def both(*values: float) -> tuple[Any, Any]:
    """The values as a tensor on each side."""
    return sg.tensor(list(values)), torch.tensor(list(values))


def rows(*values: Any) -> tuple[Any, Any]:
    """The values as float64 leaves on each side."""
    array = np.asarray(values, np.float64)
    return sg.from_numpy(array.copy(), requires_grad=True), torch.tensor(array, requires_grad=True)


def gradients(function: Callable[[Any], Any], *values: Any, order: int = 1) -> list[Any]:
    """The derivative of the sum of the function at these values, on each side."""
    found = []
    for lib, x in zip((sg, torch), rows(*values), strict=True):
        y: Any = function(x).sum()
        for turn in range(order):
            (y,) = lib.grad(y, [x], create_graph=True) if lib is sg else torch.autograd.grad(y, [x], create_graph=True)
            y = y if turn == order - 1 else y.sum()
        found.append(y.detach().numpy().tolist())
    return found


INF, NAN = float("inf"), float("nan")


def same(found: Any, expected: Any) -> None:
    """Assert equality; NaN equals NaN."""
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
