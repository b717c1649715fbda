"""Optimizer steps on tensors, in place: one call for all parameters, with the arithmetic on the backend.

The hyperparameters of a step, such as the learning rate, are passed in an array that is read when the work runs: a
captured function rewrites it each time (see _tape.each_time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from ._backend import Backend
from ._checks import expect_ints, expect_numbers, expect_tensors
from ._dtypes import is_float
from ._plans import Plans
from ._tape import open_tapes
from ._tensor import Tensor
from ._types import DType
from ._writing import expect_writable

Numbers = NDArray[np.float64]
"""The settings of an optimizer's step, which are read each time it runs: float64 (n,)."""


def sgd_numbers(
    lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0, dampening: float = 0.0
) -> Numbers:
    """The `numbers` of `sgd_step`, float64 (5,): lr, momentum, nesterov (0 or 1), weight decay, 1 - dampening.

    >>> sgd_numbers(lr=0.1, momentum=0.9)
    array([0.1, 0.9, 0. , 0. , 1. ])
    """
    try:
        return np.array([lr, momentum, nesterov, weight_decay, 1 - dampening], np.float64)
    except (TypeError, ValueError):
        expect_numbers("sgd_numbers", lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        expect_numbers("sgd_numbers", dampening=dampening)
        raise


def adam_numbers(
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Numbers:
    """The `numbers` of `adam_step` at the `step`-th step (from 1), float64 (9,).

    They are lr with the bias correction of m, beta1, 1 - beta1, beta2, 1 - beta2, the bias correction of v, eps, the
    weight decay added to the gradient, and the factor for the weights (AdamW, `decoupled`). Raises ValueError for a
    step below 1.

    >>> adam_numbers(lr=0.1, step=1).shape
    (9,)
    """
    try:
        if step < 1:
            raise ValueError(f"adam_numbers of step {step}: expected 1 or more")
        (b1, b2), shrink = betas, 1 - lr * weight_decay if decoupled else 1.0
        decay = 0.0 if decoupled else weight_decay
        factors = [lr / (1 - b1**step), b1, 1 - b1, b2, 1 - b2, 1 / (1 - b2**step), eps, decay, shrink]
        return np.array(factors, np.float64)
    except (TypeError, ValueError):
        expect_ints("adam_numbers", step=step)
        expect_numbers("adam_numbers", lr=lr, eps=eps, weight_decay=weight_decay)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"adam_numbers: betas must be two numbers; got {betas!r}") from None
        expect_numbers("adam_numbers", beta1=betas[0], beta2=betas[1])
        raise


def sgd_step(
    params: Sequence[Tensor], grads: Sequence[Tensor], velocities: Sequence[Tensor] | None, numbers: Numbers
) -> None:
    """Update each parameter by one step of gradient descent; `velocities` are None without momentum.

    `numbers` comes from `sgd_numbers`. Raises ValueError for lists of different lengths, for a shape, dtype or backend
    that differs from the parameter's, and for momentum without velocities; TypeError for integer parameters and other
    `numbers`.

    >>> p = ones(2)
    >>> sgd_step([p], [ones(2)], None, sgd_numbers(lr=0.1))
    >>> p
    tensor([0.9, 0.9])
    """
    _expect_numbers("sgd", numbers, 5)
    if velocities is None and numbers[1]:
        raise ValueError(f"sgd_step with momentum {numbers[1]} and no velocities: expected one for each parameter")
    _step("sgd_step", numbers, params, grads, *(() if velocities is None else (velocities,)))


def adam_step(
    params: Sequence[Tensor], grads: Sequence[Tensor], m: Sequence[Tensor], v: Sequence[Tensor], numbers: Numbers
) -> None:
    """Update each parameter by one step of Adam; the moments `m` and `v` start at 0.

    `numbers` comes from `adam_numbers`. Raises as `sgd_step`.

    >>> p, m, v = ones(2), zeros(2), zeros(2)
    >>> adam_step([p], [ones(2)], [m], [v], adam_numbers(lr=0.1, step=1))
    >>> p
    tensor([0.9, 0.9])
    """
    _expect_numbers("adam", numbers, 9)
    _step("adam_step", numbers, params, grads, m, v)


def _expect_numbers(name: str, numbers: Any, count: int) -> None:
    valid = isinstance(numbers, np.ndarray) and numbers.shape == (count,) and numbers.dtype == np.float64
    if not valid or not numbers.flags.c_contiguous:
        raise TypeError(
            f"{name}_step with numbers {numbers!r}: expected the {count} that {name}_numbers(...) gives, contiguous"
        )


def _step(
    name: str, numbers: Numbers, params: Sequence[Tensor], grads: Sequence[Tensor], *states: Sequence[Tensor]
) -> None:
    """Run the backend's step of that name on parameters, gradients and states, and count the writes."""
    try:
        written = [*params]
        for tensors in states:
            written += tensors
        key = (name, len(params), *map(id, written))
        found = _found.get(key)
        if found is None or open_tapes or not found.fits(written, grads):
            found = _found[key] = _Found(key, written, grads, states)
    except (AttributeError, TypeError):
        for given in (params, grads, *states):
            if not isinstance(given, Sequence):
                raise TypeError(f"{name} of {type(given).__name__}: expected lists of tensors") from None
            for i, x in enumerate(given):
                expect_tensors(name, **{f"tensor {i}": x})
        raise
    for run, indices in found.groups:
        run(numbers, *[[tensors[i].data for i in indices] for tensors in (params, grads, *states)])
    for x in written:
        version = x._version or x.version
        version.count += 1
        if version.twins:
            version.write_twins(x.backend, x.data)


class _Found:
    """Checked parameters and states of a step, valid as long as they have the same arrays."""

    def __init__(
        self, key: tuple[Any, ...], written: list[Tensor], grads: Sequence[Tensor], states: Sequence[Sequence[Tensor]]
    ) -> None:
        name, count, *_ = key
        self.layouts = [g.layout for g in grads]
        columns = (written[:count], grads, *states)
        form = tuple([tuple([x.layout for x in tensors]) for tensors in columns])
        self.groups = _plans.find((name, form), name, *columns)
        for x in written:
            expect_writable("optimizer step", x)
        for g in grads:
            g.memory()
        self.arrays = [(ref(x.memory()), x.backend) for x in written]
        self._ends = [ref(x, lambda _: _found.pop(key, None)) for x in written]  # its id may be reused

    def fits(self, written: list[Tensor], grads: Sequence[Tensor]) -> bool:
        """Whether they still have the same arrays, and the gradients the same layouts."""
        for x, (array, backend) in zip(written, self.arrays):  # noqa: B905 - equally long, and faster without the check
            if array() is not x.data or x.backend is not backend:
                return False
        for g, layout in zip(grads, self.layouts):  # noqa: B905 - as above
            if (g._layout is not layout or g._laid is not g.data) and g.layout is not layout:
                return False
        return len(grads) == len(self.layouts)


_found: dict[tuple[Any, ...], _Found] = {}


_Groups = list[tuple[Callable[..., None], list[int]]]


def _plan(name: str, params: Sequence[Tensor], *others: Sequence[Tensor]) -> _Groups:
    """A planned step for each backend and dtype, with the indices of its parameters. Raises as `sgd_step`."""
    names = ["grads"] + (["velocities"] if name == "sgd_step" else ["m", "v"])
    for what, tensors in zip(names, others):  # noqa: B905 - velocities may be missing
        if len(tensors) != len(params):
            raise ValueError(f"{len(params)} parameters and {len(tensors)} {what}: expected one for each")
    groups: dict[tuple[Backend, DType], list[int]] = {}
    for i, (p, *rest) in enumerate(zip(params, *others, strict=True)):
        if not is_float(p.dtype):
            raise TypeError(f"optimizer step on a parameter of dtype {p.dtype}: expected float32 or float64")
        for x in rest:
            if x.shape != p.shape or x.dtype != p.dtype or x.backend is not p.backend:
                raise _unlike(p, x)
        groups.setdefault((p.backend, p.dtype), []).append(i)
    return [
        (backend.plan_step(name, *[[tensors[i].data for i in indices] for tensors in (params, *others)]), indices)
        for (backend, _), indices in groups.items()
    ]


_plans: Plans[_Groups] = Plans(_plan)


def _unlike(p: Tensor, other: Tensor) -> ValueError:
    return ValueError(
        f"a parameter of shape {p.shape}, {p.dtype} on {p.backend.name!r} was given a gradient or state of "
        f"shape {other.shape}, {other.dtype} on {other.backend.name!r}: expected the same"
    )
