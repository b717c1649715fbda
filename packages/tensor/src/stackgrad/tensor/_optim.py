"""Optimizer steps on tensors, in place: one call for all parameters, the arithmetic on the backend.

The numbers of a step, learning rate and the like, come in an array, which is read when the work is done: a captured
function writes it anew each time (see _tape.each_time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._backend import Array, Backend, DType
from ._dtypes import is_float
from ._plans import Plans
from ._tape import open_tapes
from ._tensor import Tensor
from ._writing import expect_writable

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
    if velocities is None and numbers[1]:
        raise ValueError(f"sgd_step with momentum {numbers[1]} and no velocities: expected one for each parameter")
    _step("sgd_step", numbers, params, grads, *(() if velocities is None else (velocities,)))


def adam_step(
    params: Sequence[Tensor], grads: Sequence[Tensor], m: Sequence[Tensor], v: Sequence[Tensor], numbers: Numbers
) -> None:
    """One step of Adam on each parameter, whose moments `m` and `v` start at 0.

    `numbers` are those of `adam_numbers`. Raises as `sgd_step`.
    """
    _expect_numbers("adam", numbers, 9)
    _step("adam_step", numbers, params, grads, m, v)


def _expect_numbers(kind: str, numbers: Any, count: int) -> None:
    fits = isinstance(numbers, np.ndarray) and numbers.shape == (count,) and numbers.dtype == np.float64
    if not fits or not numbers.flags.c_contiguous:
        raise TypeError(
            f"{kind}_step with numbers {numbers!r}: expected the {count} that {kind}_numbers(...) gives, "
            "one behind the other"
        )


def _step(name: str, numbers: Numbers, params: Sequence[Tensor], *others: Sequence[Tensor]) -> None:
    """The backend's step of that name on parameters, gradients and states."""
    columns = (params, *others)
    form: list[Any] = [name]
    arrays: list[list[Array]] = []
    for tensors in columns:
        column: list[Array] = []
        for x in tensors:
            data, layout = x.data, x._layout
            form.append(layout if x._laid is data and layout is not None else x.layout)
            column.append(data)
        form.append(None)
        arrays.append(column)
    steps = _plans.find(tuple(form), name, *columns)
    written = [params, *others[1:]]
    for tensors in written:
        for x in tensors:
            if not x.backend.is_writable(x.data):
                expect_writable("optimizer step", x)
    if open_tapes:
        for tensors in columns:
            for x in tensors:
                x.memory()
    for run, indices in steps:
        chosen = arrays if indices is None else [[column[i] for i in indices] for column in arrays]
        run(numbers, *chosen)
    for tensors in written:
        for x in tensors:
            version = x._version or x.version
            version.count += 1
            if version.twins:
                version.write_twins(x.backend, x.data)


_Steps = list[tuple[Callable[..., None], "list[int] | None"]]


def _plan(name: str, params: Sequence[Tensor], *others: Sequence[Tensor]) -> _Steps:
    """The steps of parameters of one backend and dtype, and which these are; None for all.

    Raises for what no step is done to.
    """
    names = ["grads"] + (["velocities"] if name == "sgd_step" else ["m", "v"])
    for what, tensors in zip(names, others):  # noqa: B905 - there may be no velocities
        if len(tensors) != len(params):
            raise ValueError(f"{len(params)} parameters and {len(tensors)} {what}: expected one for each")
    groups: dict[tuple[Backend, DType], list[int]] = {}
    for i, (p, *rest) in enumerate(zip(params, *others, strict=True)):
        if not is_float(p.dtype):
            raise TypeError(f"optimizer step on a parameter of dtype {p.dtype}: expected float32 or float64")
        for x in rest:
            if x.shape != p.shape or x.dtype != p.dtype or x.backend is not p.backend:
                raise _unlike(p, x)
        for x in (p, *rest[1:]):
            expect_writable("optimizer step", x)
        groups.setdefault((p.backend, p.dtype), []).append(i)
    steps: _Steps = []
    for (backend, _), indices in groups.items():
        run = backend.plan_step(name, *[[tensors[i].data for i in indices] for tensors in (params, *others)])
        steps.append((run, indices if len(groups) > 1 else None))
    return steps


_plans: Plans[_Steps] = Plans(_plan)


def _unlike(p: Tensor, other: Tensor) -> ValueError:
    return ValueError(
        f"a parameter of shape {p.shape}, {p.dtype} on {p.backend.name!r} was given a gradient or state of "
        f"shape {other.shape}, {other.dtype} on {other.backend.name!r}: expected the same"
    )
