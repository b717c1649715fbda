"""One step of a recurrent layer: formulas, and cells, which have weights of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor, fuse

from .. import functional as F
from .. import init
from .._arguments import expect_tensor, expect_tensors
from ..module import Module
from ..parameter import Parameter

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, Tensor, Tensor | None], State]
"""The next state of what the input gives the gates (n, gates * hidden), the state, and its weight and bias."""


def tanh_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """Elman, "Finding structure in time", 1990."""
    return ((given + F.linear(state[0], weight, bias)).tanh(),)


def relu_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """The same with relu."""
    return ((given + F.linear(state[0], weight, bias)).relu(),)


def lstm_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """Hochreiter and Schmidhuber, "Long short-term memory", 1997; with the gate to forget of Gers et al., 2000."""
    hidden, cell = state
    enter, forget, new, leave = parts(given + F.linear(hidden, weight, bias), 4)
    cell = _remembered(enter, forget, new, cell)
    return _shown(leave, cell), cell


def gru_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """Cho et al., "Learning phrase representations using RNN encoder-decoder", arXiv:1406.1078."""
    (hidden,) = state
    reset, keep, new = parts(given, 3)
    reset_too, keep_too, new_too = parts(F.linear(hidden, weight, bias), 3)
    return (_mixed(reset, reset_too, keep, keep_too, new, new_too, hidden),)


@fuse
def _remembered(enter: Tensor, forget: Tensor, new: Tensor, cell: Tensor) -> Tensor:
    return forget.sigmoid() * cell + enter.sigmoid() * new.tanh()


@fuse
def _shown(leave: Tensor, cell: Tensor) -> Tensor:
    return leave.sigmoid() * cell.tanh()


@fuse
def _mixed(r: Tensor, r2: Tensor, z: Tensor, z2: Tensor, n: Tensor, n2: Tensor, hidden: Tensor) -> Tensor:
    new = (n + (r + r2).sigmoid() * n2).tanh()
    return new + (z + z2).sigmoid() * (hidden - new)


def parts(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """So many equal parts of (n, count * width): (n, width) each."""
    width = x.shape[1] // count
    return tuple([x[:, i * width : (i + 1) * width] for i in range(count)])


def recurrent_weights(
    gates: int, inputs: int, hidden: int, bias: bool, generator: Generator | None, dtype: DTypeLike | None
) -> tuple[Parameter, Parameter, Parameter | None, Parameter | None]:
    """weight_ih (gates * hidden, inputs), weight_hh (gates * hidden, hidden), and biases: uniform as PyTorch's."""
    rows, bound = gates * hidden, 1 / math.sqrt(hidden)

    def drawn(*shape: int) -> Parameter:
        return Parameter(init.uniform(shape, bound, generator, dtype))

    weights = drawn(rows, inputs), drawn(rows, hidden)
    return (*weights, drawn(rows), drawn(rows)) if bias else (*weights, None, None)


def step_of(nonlinearity: str) -> Step:
    """That of a plain recurrent layer. Raises ValueError for a name other than "tanh" and "relu"."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'nonlinearity must be "tanh" or "relu"; got {nonlinearity!r}')
    return tanh_step if nonlinearity == "tanh" else relu_step


class _Cell(Module):
    """What the cells have in common.

    Args:
        input_size: the features of the input.
        hidden_size: those of the state.
        bias: whether biases are added.
        generator: the source of the initial weights; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight_ih, weight_hh: (gates * hidden_size, input_size) and (gates * hidden_size, hidden_size).
        bias_ih, bias_hh: (gates * hidden_size,) each, or None.

    Raises:
        TypeError: a dtype other than float32 and float64; in a call, an argument that is not a Tensor.
        ValueError: a size below 1; in a call, shapes that do not fit.
    """

    gates: ClassVar[int]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_sizes(type(self).__name__, input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        found = recurrent_weights(self.gates, input_size, hidden_size, bias, generator, dtype)
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = found

    def _next(self, step: Step, input: Tensor, state: State | None, count: int) -> State:
        expect_tensors(type(self).__name__, input=input)
        alone = input.ndim == 1
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: input of shape {input.shape}: expected (batch, {self.input_size}) or "
                f"({self.input_size},)"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        if state is None:
            state = (sg.zeros(*shape, dtype=input.dtype, backend=input.backend),) * count
        for x in state:
            expect_tensor(f"the state of {type(self).__name__}", x)
            if x.shape != shape:
                raise ValueError(f"{type(self).__name__}: state of shape {x.shape}: expected {shape}")
        if alone:
            input, state = input.unsqueeze(0), tuple([x.unsqueeze(0) for x in state])
        state = step(F.linear(input, self.weight_ih, self.bias_ih), state, self.weight_hh, self.bias_hh)
        return tuple([x.squeeze(0) for x in state]) if alone else state

    def extra_repr(self) -> str:
        bias = ", bias=False" if self.bias_ih is None else ""
        return f"{self.input_size}, {self.hidden_size}{bias}"


class RNNCell(_Cell):
    __doc__ = f"""tanh, or relu, of both linear layers' sum: (batch, input_size) and a state to the next state.

    `nonlinearity` is "tanh" or "relu". {_Cell.__doc__}"""
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, generator=generator, dtype=dtype)
        self.nonlinearity = nonlinearity
        step_of(nonlinearity)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(step_of(self.nonlinearity), input, None if hx is None else (hx,), 1)[0]


class LSTMCell(_Cell):
    __doc__ = f"""(batch, input_size) and a state (hidden, cell) to the next (hidden, cell). {_Cell.__doc__}"""
    gates = 4

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]: ...  # type: ignore[override]

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        hidden, cell = self._next(lstm_step, input, None if hx is None else tuple(hx), 2)
        return hidden, cell


class GRUCell(_Cell):
    __doc__ = f"""(batch, input_size) and a state to the next state. {_Cell.__doc__}"""
    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(gru_step, input, None if hx is None else (hx,), 1)[0]


def expect_sizes(what: str, input_size: int, hidden_size: int) -> None:
    """ValueError unless both are 1 or more."""
    if input_size < 1 or hidden_size < 1:
        raise ValueError(f"{what} needs at least one feature of input and state; got {input_size} and {hidden_size}")
