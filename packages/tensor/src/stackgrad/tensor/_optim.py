"""Optimizer steps on tensors, in place: one call for all parameters, the arithmetic on the backend."""

from __future__ import annotations

from collections.abc import Sequence

from ._dtypes import is_float
from ._tensor import Tensor


def _expect_as_many(params: Sequence[Tensor], **others: Sequence[Tensor]) -> None:
    for name, tensors in others.items():
        if len(tensors) != len(params):
            raise ValueError(f"{len(params)} parameters and {len(tensors)} {name}: expected one for each")


def _expect_matching(p: Tensor, *others: Tensor) -> None:
    if not is_float(p.dtype):
        raise TypeError(f"optimizer step on a parameter of dtype {p.dtype}: expected float32 or float64")
    for other in others:
        if other.shape != p.shape or other.dtype != p.dtype or other.backend is not p.backend:
            raise ValueError(
                f"a parameter of shape {p.shape}, {p.dtype} on {p.backend.name!r} was given a gradient or state of "
                f"shape {other.shape}, {other.dtype} on {other.backend.name!r}: expected the same"
            )


def sgd_step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    velocities: Sequence[Tensor] | None,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """One step of gradient descent on each parameter; `velocities` hold the momentum, None when there is none."""
    _expect_as_many(params, grads=grads, **({} if velocities is None else {"velocities": velocities}))
    if velocities is None and momentum:
        raise ValueError(f"sgd_step with momentum {momentum} and no velocities: expected one for each parameter")
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        state = [] if velocities is None else [velocities[i]]
        _expect_matching(p, g, *state)
        velocity = state[0].data if state else None
        p.backend.sgd_step(p.data, g.data, velocity, lr, momentum, nesterov, weight_decay)
        for changed in (p, *state):
            changed.version.count += 1


def adam_step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    m: Sequence[Tensor],
    v: Sequence[Tensor],
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """One step, counted from 1, of Adam on each parameter, whose moments `m` and `v` start at 0.

    `decoupled` decays the weights by themselves (AdamW) instead of through the gradient.
    """
    _expect_as_many(params, grads=grads, m=m, v=v)
    if step < 1:
        raise ValueError(f"adam_step with step {step}: expected 1 or more")
    for p, g, m_, v_ in zip(params, grads, m, v, strict=True):
        _expect_matching(p, g, m_, v_)
        p.backend.adam_step(p.data, g.data, m_.data, v_.data, step, lr, betas, eps, weight_decay, decoupled)
        for changed in (p, m_, v_):
            changed.version.count += 1
