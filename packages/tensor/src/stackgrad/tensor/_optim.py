"""Optimizer steps on tensors, in place: one call for all parameters, the arithmetic on the backend.

The numbers of a step, learning rate and the like, come in an array, which is read when the work is done: a captured
function writes it anew each time (see _tape.each_time).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._backend import Array, Backend, DType
from ._dtypes import is_float
from ._plans import Layout, Plans
from ._tensor import Tensor
from ._writing import count_writes, expect_writable

Numbers = NDArray[np.float64]


def sgd_numbers(lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> Numbers:
    """The numbers of `sgd_step`: lr, momentum, whether nesterov, weight decay."""
    return np.array([lr, momentum, nesterov, weight_decay], np.float64)


def adam_numbers(
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Numbers:
    """The numbers of `adam_step`, the `step`-th (from 1) for these parameters.

    They are lr with the bias correction of m, beta1, 1 - beta1, beta2, 1 - beta2, the bias correction of v, eps,
    the weight decay that goes through the gradient, and what the weights themselves shrink to (AdamW, `decoupled`).
    """
    if step < 1:
        raise ValueError(f"adam_numbers of step {step}: expected 1 or more")
    (b1, b2), shrink = betas, 1 - lr * weight_decay if decoupled else 1.0
    decay = 0.0 if decoupled else weight_decay
    return np.array([lr / (1 - b1**step), b1, 1 - b1, b2, 1 - b2, 1 / (1 - b2**step), eps, decay, shrink], np.float64)


def sgd_step(
    params: Sequence[Tensor], grads: Sequence[Tensor], velocities: Sequence[Tensor] | None, numbers: Numbers
) -> None:
    """One step of gradient descent on each parameter; `velocities` hold the momentum, None when there is none.

    `numbers` are those of `sgd_numbers`. Raises ValueError for lists of other lengths, for shapes, dtypes or backends
    that differ from a parameter's, and for momentum without velocities; TypeError for integers and other numbers.
    """
    _expect_numbers("sgd", numbers, 4)
    states = {} if velocities is None else {"velocities": velocities}
    if velocities is None and numbers[1]:
        raise ValueError(f"sgd_step with momentum {numbers[1]} and no velocities: expected one for each parameter")
    for backend, (p, g, *velocity) in _alike(params, grads, states):
        backend.sgd_step(p, g, velocity[0] if velocity else None, numbers)
    _count_writes(params, *states.values())


def adam_step(
    params: Sequence[Tensor], grads: Sequence[Tensor], m: Sequence[Tensor], v: Sequence[Tensor], numbers: Numbers
) -> None:
    """One step of Adam on each parameter, whose moments `m` and `v` start at 0.

    `numbers` are those of `adam_numbers`. Raises as `sgd_step`.
    """
    _expect_numbers("adam", numbers, 9)
    for backend, arrays in _alike(params, grads, {"m": m, "v": v}):
        backend.adam_step(arrays[0], arrays[1], arrays[2], arrays[3], numbers)
    _count_writes(params, m, v)


def _expect_numbers(kind: str, numbers: Any, count: int) -> None:
    fits = isinstance(numbers, np.ndarray) and numbers.shape == (count,) and numbers.dtype == np.float64
    if not fits or not numbers.flags.c_contiguous:
        raise TypeError(
            f"{kind}_step with numbers {numbers!r}: expected the {count} that {kind}_numbers(...) gives, "
            "one behind the other"
        )


def _alike(
    params: Sequence[Tensor], grads: Sequence[Tensor], states: dict[str, Sequence[Tensor]]
) -> list[tuple[Backend, list[list[Array]]]]:
    """Parameters, gradients and states by backend and dtype."""
    for name, tensors in {"grads": grads, **states}.items():
        if len(tensors) != len(params):
            raise ValueError(f"{len(params)} parameters and {len(tensors)} {name}: expected one for each")
    form: list[Layout] = []
    written = (params, *states.values())
    for tensors in written:
        for x in tensors:
            form.append(x.layout)
            if not x.backend.is_writable(x.data):
                expect_writable("optimizer step", x)
    groups = _groups.find(tuple(form), *written)
    for p, g in zip(params, grads):  # noqa: B905 - as many, and faster
        ours, its = p.data, g.data
        if its.shape != ours.shape or its.dtype != ours.dtype or g.backend is not p.backend:
            raise _unlike(p, g)
    columns = (params, grads, *states.values())
    return [(backend, [[tensors[i].memory() for i in indices] for tensors in columns]) for backend, indices in groups]


def _group(params: Sequence[Tensor], *states: Sequence[Tensor]) -> list[tuple[Backend, list[int]]]:
    """Which parameters are of one backend and dtype. Raises for what no step is done to."""
    groups: dict[tuple[Backend, DType], list[int]] = {}
    for i, (p, *others) in enumerate(zip(params, *states, strict=True)):
        if not is_float(p.dtype):
            raise TypeError(f"optimizer step on a parameter of dtype {p.dtype}: expected float32 or float64")
        for x in (p, *others):
            if x.shape != p.shape or x.dtype != p.dtype or x.backend is not p.backend:
                raise _unlike(p, x)
            expect_writable("optimizer step", x)
        groups.setdefault((p.backend, p.dtype), []).append(i)
    return [(backend, indices) for (backend, _), indices in groups.items()]


_groups: Plans[list[tuple[Backend, list[int]]]] = Plans(_group)


def _count_writes(*written: Sequence[Tensor]) -> None:
    for tensors in written:
        for x in tensors:
            count_writes(x)


def _unlike(p: Tensor, other: Tensor) -> ValueError:
    return ValueError(
        f"a parameter of shape {p.shape}, {p.dtype} on {p.backend.name!r} was given a gradient or state of "
        f"shape {other.shape}, {other.dtype} on {other.backend.name!r}: expected the same"
    )
