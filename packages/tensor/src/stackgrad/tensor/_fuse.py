"""Fused functions: a function of tensors as one kernel, and its gradient as another.

    f(x, y)  --call with expressions-->  Expression of the result  --Program-->  a kernel
                                              | backward, with expressions
                                         Expression of the gradient  --Program-->  a kernel

A function is traced once for each form of its arguments. Its gradient is such a function as well, of the arguments and
the gradient of the result, and has a gradient in turn.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from ._expression import Expression, Untraceable, tracing
from ._guard import Guard, holds
from ._ops import common_backend
from ._plans import Plans
from ._surroundings import Surroundings
from ._symbolic import SymbolicScalar, Wanted
from ._tape import captured_on
from ._trace import Trace, symbol, traced
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R")

Run = Callable[["list[Tensor]", Sequence[int | float]], Any]

MOST_TRACES = 64  # of one form
_HERE = str(Path(__file__).parent)


def fuse(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to one kernel, and its gradient to another.

        @fuse
        def gelu(x):
            return 0.5 * x * (1 + (x * 0.5**0.5).erf())

    The function takes tensors, which broadcast, int and float scalars, and other hashable arguments. It returns a
    tensor or a tuple of tensors. It may use operations of the op table, dtype conversions, views that add, drop, repeat
    or exchange dimensions, and reductions (`sum`, `mean`, `max`, ...), each of which ends a kernel. It is traced once
    for each form of its arguments: shapes, dtypes, and the values of arguments other than tensors and scalars. One
    kernel serves all values of a scalar. Nothing between operands and results is written to memory; the gradient
    recomputes what it needs, or keeps it, whichever moves fewer bytes. Gradients have gradients.

    A backend without fused kernels (`numpy`) calls the function as it is, with the same result up to rounding: a
    compiled kernel may use a fused multiply-add.

    A call raises TypeError if the function cannot be fused: it branches on a value, reads one, writes in place, or uses
    a tensor that is not an argument or an operation outside the table. The message names the line.

    >>> @fuse
    ... def swish(x):
    ...     return x * x.sigmoid()
    >>> swish(tensor([0.0, 1.0])).round(decimals=4)
    tensor([0.    , 0.7311])
    """
    fused = _Fused(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return fused(args, kwargs)  # type: ignore[no-any-return]

    return call


class _Fused:
    """A fused function, and its traces for each form of the arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = self.__wrapped__ = function
        self.name = getattr(function, "__name__", repr(function))
        self._forms: Plans[_Form] = Plans(_Form)

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors: list[Tensor] = []
        scalars: list[int | float] = []
        key: list[Any] = []
        for x in (*args, *kwargs.values()):
            if isinstance(x, Value):
                if x.backend is tracing:  # called by another fused function
                    return self.function(*args, **kwargs)
                tensors.append(x)  # type: ignore[arg-type]
                key.append(x.layout)
            elif _is_scalar(x):
                scalars.append(x.item() if isinstance(x, np.generic) else x)
                key.append(type(scalars[-1]))
            else:
                key.append((type(x), x))
        if kwargs:
            key.append(tuple(kwargs))
        try:
            form = self._forms.find(tuple(key), self, tensors)
        except TypeError as error:
            if "unhashable" not in str(error):
                raise
            raise TypeError(
                f"{self.name}, which is fused: {error}: pass tensors, scalars, or hashable objects"
            ) from None
        run = form.trace(args, kwargs, scalars)
        return self.function(*args, **kwargs) if run is None else run(tensors, scalars)


def _is_scalar(x: object) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)


class _Form:
    """The traces for arguments of one form: one for each choice of the integers whose values tracing needs."""

    def __init__(self, fused: _Fused, tensors: list[Tensor]) -> None:
        if not tensors:
            raise TypeError(f"{fused.name}, which is fused, was given no tensor: expected at least one")
        self._fused = fused
        self._backend = common_backend(fused.name, *tensors)
        self._empty = not all(x.size for x in tensors)
        self._wanted: list[int] = []
        self._traces: dict[tuple[int | float, ...], tuple[Run | None, Guard]] = {}

    def trace(self, args: Any, kwargs: Any, scalars: list[int | float]) -> Run | None:
        """The compiled function for these tensors and scalars; None if it must be called as it is."""
        found = self._traces.get(tuple([scalars[i] for i in self._wanted]) if self._wanted else ())
        if found is None or not holds(found[1]):
            with captured_on(None):
                run: Run | None = _trace(self._fused, args, kwargs, self._wanted)
                guard = Surroundings(self._fused.function).guard()
            if self._empty or not self._backend.fuses:
                run = None
            if len(self._traces) == MOST_TRACES:
                self._traces.clear()
            found = self._traces[tuple([scalars[i] for i in self._wanted])] = run, guard
        return found[0]


def _trace(fused: _Fused, args: Any, kwargs: Any, wanted: list[int]) -> Run:
    """Trace the function. Appends to `wanted` the indices of the integers whose values tracing needs."""
    inputs: list[Tensor] = []
    scalars: list[Expression] = []

    def stand_in(x: Any) -> Any:
        if isinstance(x, Value):
            inputs.append(symbol(len(inputs), x))  # type: ignore[arg-type]
            return inputs[-1].clone()  # the same expression, but not a leaf, which would refuse in-place writes
        if _is_scalar(x):
            dtype = np.dtype(np.float64 if isinstance(x, (float, np.floating)) else np.int64)
            scalars.append(Expression("scalar", len(scalars), (), (), dtype))
            return x if len(scalars) - 1 in wanted else SymbolicScalar(scalars[-1])
        return x

    try:
        with traced():
            given = fused.function(*map(stand_in, args), **{name: stand_in(x) for name, x in kwargs.items()})
    except Wanted as index:
        wanted.append(index.args[0])
        return _trace(fused, args, kwargs, wanted)
    except (Untraceable, ValueError) as error:
        if isinstance(error, ValueError) and tracing.remedy not in str(error):
            raise
        raise TypeError(f"{fused.name} cannot be fused: {error}\n{_line_of(error)}") from None
    outputs = given if isinstance(given, (tuple, list)) else [given]
    for x in outputs:
        if not isinstance(x, Value) or x.backend is not tracing:
            raise TypeError(
                f"{fused.name} cannot be fused: it returned {type(x).__name__}: expected a tensor computed from its "
                "arguments, or a tuple of them"
            )
    trace = Trace(fused.name, inputs, scalars, outputs, shared=False)
    return (lambda *operands: tuple(trace(*operands))) if outputs is given else lambda *operands: trace(*operands)[0]


def _line_of(error: Exception) -> str:
    """The line of the user's code that raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_HERE)]
    frame = (theirs or frames)[-1]
    return f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}'
