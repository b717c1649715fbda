"""A case: one random program that runs in stackgrad and in PyTorch, and the values that each of them shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import stackgrad.tensor as sg

from .differences import intended
from .draw import Array, Draw
from .sides import Ours, Side, Tensor, Theirs


@dataclass
class Shown:
    """The values that one side showed, with labels, and the error that ended it, if any.

    `coarse`: float32 took part, so a float64 may have its rounding errors. `nans`: like that of `Pure`.
    """

    coarse: bool = False
    nans: dict[str, str] = field(default_factory=dict)
    values: list[tuple[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def __call__(self, label: str, value: Any) -> None:
        """Show an array or another value."""
        self.values.append((label, value))


Program = Callable[[Draw, Side, Shown], None]


@dataclass(frozen=True)
class Pure:
    """A function of tensors. Its value and its derivatives are shown.

    Attributes:
        apply: The function of a side and its tensors.
        arrays: The operands.
        order: The highest derivative: 0, 1 or 2.
        captures: Whether it can be captured, since it reads no values.
        nans: For "value", "gradient" or "second" the intended difference: PyTorch's may be NaN.
    """

    apply: Callable[..., Tensor]
    arrays: list[Array]
    order: int = 2
    captures: bool = True
    nans: dict[str, str] = field(default_factory=dict)


PureFamily = Callable[[Draw], Pure]


def derivatives(lib: Side, pure: Pure, tensors: list[Tensor], weights: Draw) -> list[tuple[str, Tensor]]:
    """The value, and for each float operand the gradients, or zeros if there is none."""
    leaves = [(i, x) for i, x in enumerate(tensors) if pure.order and pure.arrays[i].dtype.kind == "f"]
    for _, leaf in leaves:
        leaf.requires_grad_()
    out = pure.apply(lib, *tensors)
    found = [("value", out.detach().clone())]  # a captured function must not return a view of an argument
    if not leaves or not out.requires_grad:
        return found
    again = pure.order > 1
    out.backward(_weight(lib, out, weights), create_graph=again)
    first = [(i, leaf, leaf.grad) for i, leaf in leaves]
    found += [(f"gradient {i}", _or_zeros(lib, grad, leaf)) for i, leaf, grad in first]
    if not again:
        return found
    terms = [(grad * _weight(lib, grad, weights)).sum() for _, _, grad in first if grad is not None]
    for _, leaf in leaves:
        leaf.grad = None
    for term in terms:
        if term.requires_grad:
            term.backward(retain_graph=True)
    return found + [(f"second {i}", _or_zeros(lib, leaf.grad, leaf)) for i, leaf in leaves]


def _weight(lib: Side, like: Tensor, weights: Draw) -> Tensor:
    dtype = str(like.dtype).removeprefix("torch.")
    return lib.tensor(weights.array(tuple(like.shape), dtype, laid=False))


def _or_zeros(lib: Side, grad: Tensor | None, leaf: Tensor) -> Tensor:
    if grad is not None:
        return grad.detach()
    return lib.tensor(np.zeros(tuple(leaf.shape), str(leaf.dtype).removeprefix("torch.")))


CALLS = 4  # of a captured function: the plain call, the recording, and two replays


def shows(name: str, family: PureFamily) -> Program:
    """The program that shows the derivatives of a family's functions; 30% of them are captured."""

    def program(draw: Draw, lib: Side, show: Shown) -> None:
        captured = draw.chance(0.3)
        seed = draw.integer(0, 10**9)
        pure = family(draw)
        arrays = pure.arrays
        show.nans = pure.nans
        show.coarse = any(a.dtype == np.float32 for a in arrays)

        def step(*tensors: Tensor) -> tuple[Tensor, ...]:
            found = derivatives(lib, pure, [x.detach() for x in tensors], Draw("weights", seed))
            labels[:] = [label for label, _ in found]
            return tuple(x for _, x in found)

        labels: list[str] = []
        if not (captured and pure.captures):
            show_all(lib, show, labels, step(*map(lib.tensor, arrays)))
            return
        run = step if lib.pytorch else sg.capture(step)
        for call in range(CALLS):
            show_all(lib, show, labels, run(*map(lib.tensor, arrays)), f" of call {call}")
            arrays = [np.roll(a, 1) for a in arrays]

    program.__name__ = name
    return program


def show_all(lib: Side, show: Shown, labels: list[str], results: tuple[Tensor, ...], after: str = "") -> None:
    """Show each result."""
    for label, x in zip(labels, results, strict=True):
        show(label + after, lib.array(x))


def run(name: str, program: Program, seed: int, lib: Side) -> Shown:
    """Run the program with that name and seed on one side."""
    shown = Shown()
    with lib.running():
        try:
            program(Draw(name, seed), lib, shown)
        except Exception as error:
            shown.error = error
    return shown


# Tolerances: relative to the value, and relative to the largest value of the array or 1.
TOLERANCES = {"float32": (1e-4, 2e-5), "float64": (1e-9, 1e-10)}


def difference(ours: Shown, theirs: Shown) -> str | None:
    """The first difference between the two sides as text, or None."""
    for (label, mine), (other, its) in zip(ours.values, theirs.values, strict=False):
        if label != other:
            return f"stackgrad shows {label}, PyTorch {other}"
        if isinstance(mine, np.ndarray) and isinstance(its, np.ndarray):
            found = _of_arrays(mine, its, theirs.coarse, theirs.nans.get(label.partition(" ")[0]))
        else:
            found = None if _same(mine, its) else f"{mine!r}, PyTorch {its!r}"
        if found:
            return f"{label}: {found}"
    if bool(ours.error) != bool(theirs.error) or len(ours.values) != len(theirs.values):
        first = ours if ours.error and (not theirs.error or len(ours.values) < len(theirs.values)) else theirs
        side = "stackgrad" if first is ours else "PyTorch"
        return f"only {side} raised {type(first.error).__name__}: {first.error}"
    if isinstance(ours.error, UNEXPECTED):
        return f"stackgrad raised {type(ours.error).__name__}: {ours.error}"
    return None


UNEXPECTED = (AssertionError, AttributeError, KeyError, Warning)


def _same(mine: Any, its: Any) -> bool:
    if isinstance(mine, float) and isinstance(its, float):
        return mine == its or (mine != mine and its != its) or abs(mine - its) <= 1e-6 * max(abs(its), 1e-6)
    return repr(mine) == repr(its)


def _of_arrays(mine: Array, its: Array, coarse: bool, nans: str | None) -> str | None:
    if mine.shape != its.shape or mine.dtype != its.dtype:
        return f"shape {mine.shape}, {mine.dtype}; PyTorch {its.shape}, {its.dtype}"
    with np.errstate(all="ignore"):
        equal = (mine == its) | ((mine != mine) & (its != its))
        if mine.dtype.kind == "f" and not equal.all():
            share, of_largest = TOLERANCES["float32" if coarse else str(mine.dtype)]
            wide = its.astype(np.float64)
            finite = np.isfinite(wide)
            largest = max(float(np.max(np.abs(wide[finite]), initial=0)), 1.0)
            near = np.abs(mine - wide) <= share * np.abs(wide) + of_largest * largest
            equal |= finite & np.isfinite(mine) & near
        if nans is not None:
            intended(nans)
            equal |= its != its
    if equal.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~equal)[0])
    return f"at {at} of shape {mine.shape}, {mine.dtype}: {mine[at]!r}, PyTorch {its[at]!r}"


def compare(name: str, program: Program, seed: int, backends: tuple[str, ...]) -> str | None:
    """The first difference between a backend and PyTorch as text, or None."""
    theirs = run(name, program, seed, Theirs())
    if theirs.error and str(theirs.error).startswith("ZeroTensors are immutable"):
        intended("zero-tensors")
        return None
    for backend in backends:
        found = difference(run(name, program, seed, Ours(backend)), theirs)
        if found:
            return f"{name} {seed} on {backend}: {found}"
    return None
