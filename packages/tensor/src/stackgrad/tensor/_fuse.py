"""Functions of tensors as one kernel, and their gradients as another.

    f(x, y)  --call with expressions-->  Expression of the result  --Program-->  a kernel
                                              | backward, with expressions
                                         Expression of the gradient  --Program-->  a kernel

A function is traced once for each form of its arguments. Its gradient is a function like it, of its arguments and the
gradient of its result, and has a gradient in turn.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from ._expression import Expression, Untraceable, tracing
from ._ops import common_backend
from ._plans import Plans
from ._surroundings import Guard, Surroundings, holds
from ._symbolic import SymbolicNumber, Wanted
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
    """`function` as one kernel, and its gradient as another.

        @fuse
        def gelu(x):
            return 0.5 * x * (1 + (x * 0.5**0.5).erf())

    The function takes tensors, which broadcast, numbers, and whatever else is hashable. It returns a tensor, or a tuple
    of them, computed by the operations of the op table, conversions of dtypes, views that add, drop, repeat or exchange
    dimensions, and reductions (`sum`, `mean`, `max`, ...), after each of which another kernel begins. It is called once
    for each form of its arguments: shapes, dtypes, and the values of what is neither a tensor nor a number. A kernel is
    compiled for all values of a number, int or float. Nothing between operands and results is written to memory; what
    its gradient needs of that is computed again, or kept, whichever moves fewer bytes. Gradients have gradients.

    Where the backend compiles no kernels (`numpy`) the function is called as it is, to the same result but for
    rounding: a compiled one may round once where a product is added to something.

    A call raises TypeError where the function does what cannot be fused: it branches on a value, reads one, writes in
    place, uses a tensor that is no argument, or an operation outside of the table. The message names the line.
    """
    fused = _Fused(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return fused(args, kwargs)  # type: ignore[no-any-return]

    return call


class _Fused:
    """A function, and what is done for each form of its arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = self.__wrapped__ = function
        self.name = getattr(function, "__name__", repr(function))
        self._forms: Plans[_Form] = Plans(_Form)

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors: list[Tensor] = []
        numbers: list[int | float] = []
        key: list[Any] = []
        for x in (*args, *kwargs.values()):
            if isinstance(x, Value):
                if x.backend is tracing:  # in another fused function
                    return self.function(*args, **kwargs)
                tensors.append(x)  # type: ignore[arg-type]
                key.append(x.layout)
            elif _is_number(x):
                numbers.append(x.item() if isinstance(x, np.generic) else x)
                key.append(type(numbers[-1]))
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
                f"{self.name}, which is fused: {error}: pass tensors, numbers, or what is hashable"
            ) from None
        run = form.trace(args, kwargs, numbers)
        return self.function(*args, **kwargs) if run is None else run(tensors, numbers)


def _is_number(x: object) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)


class _Form:
    """The traces for arguments of one form: one for each choice of the integers that tracing asks for."""

    def __init__(self, fused: _Fused, tensors: list[Tensor]) -> None:
        if not tensors:
            raise TypeError(f"{fused.name}, which is fused, was given no tensor: expected one at least")
        self._fused = fused
        self._backend = common_backend(fused.name, *tensors)
        self._empty = not all(x.size for x in tensors)
        self._wanted: list[int] = []
        self._traces: dict[tuple[int | float, ...], tuple[Run | None, Guard]] = {}

    def trace(self, args: Any, kwargs: Any, numbers: list[int | float]) -> Run | None:
        """What does the function of these tensors and numbers; None where it is to be called as it is."""
        found = self._traces.get(tuple([numbers[i] for i in self._wanted]) if self._wanted else ())
        if found is None or not holds(found[1]):
            with captured_on(None):
                run: Run | None = _trace(self._fused, args, kwargs, self._wanted)
                guard = Surroundings(self._fused.function).guard()
            if self._empty or not self._backend.fuses:
                run = None
            if len(self._traces) == MOST_TRACES:
                self._traces.clear()
            found = self._traces[tuple([numbers[i] for i in self._wanted])] = run, guard
        return found[0]


def _trace(fused: _Fused, args: Any, kwargs: Any, wanted: list[int]) -> Run:
    """What computes the function of tensors and numbers. Adds to `wanted` the integers whose values it asks for."""
    inputs: list[Tensor] = []
    numbers: list[Expression] = []

    def stand_in(x: Any) -> Any:
        if isinstance(x, Value):
            inputs.append(symbol(len(inputs), x))  # type: ignore[arg-type]
            return inputs[-1].clone()  # the same expression, and no leaf, which might not be written to
        if _is_number(x):
            dtype = np.dtype(np.float64 if isinstance(x, (float, np.floating)) else np.int64)
            numbers.append(Expression("number", len(numbers), (), (), dtype))
            return x if len(numbers) - 1 in wanted else SymbolicNumber(numbers[-1])
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
                f"{fused.name} cannot be fused: it gave {type(x).__name__}: expected a tensor computed from its "
                "arguments, or a tuple of them"
            )
    trace = Trace(fused.name, inputs, numbers, outputs, shared=False)
    return (lambda *operands: tuple(trace(*operands))) if outputs is given else lambda *operands: trace(*operands)[0]


def _line_of(error: Exception) -> str:
    """The line of the user's that did it."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_HERE)]
    frame = (theirs or frames)[-1]
    return f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}'
