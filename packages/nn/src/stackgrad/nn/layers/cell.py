"""One step of a recurrent layer: the formulas, and cells with weights of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor, fuse
from stackgrad.tensor._checks import expect_ints, expect_tensors

from .. import functional as F
from .. import init
from .._arguments import expect_tensor
from ..module import Module
from ..parameter import Parameter

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, Tensor, Tensor | None], State]
"""The next state, from the gates' part of the input (n, gates * hidden), the state, and its weight and bias."""


def tanh_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """Elman, "Finding structure in time", 1990."""
    return ((given + F.linear(state[0], weight, bias)).tanh(),)


def relu_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """As `tanh_step`, with relu."""
    return ((given + F.linear(state[0], weight, bias)).relu(),)


def lstm_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """Hochreiter and Schmidhuber, "Long short-term memory", 1997; with the forget gate of Gers et al., 2000."""
    hidden, cell = state
    input_gate, forget_gate, new, output_gate = split(given + F.linear(hidden, weight, bias), 4)
    cell = _next_cell(input_gate, forget_gate, new, cell)
    return _next_hidden(output_gate, cell), cell


def gru_step(given: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """Cho et al., "Learning phrase representations using RNN encoder-decoder", arXiv:1406.1078."""
    (hidden,) = state
    r, z, n = split(given, 3)
    r2, z2, n2 = split(F.linear(hidden, weight, bias), 3)
    return (_gated(r, r2, z, z2, n, n2, hidden),)


@fuse
def _next_cell(input_gate: Tensor, forget_gate: Tensor, new: Tensor, cell: Tensor) -> Tensor:
    return forget_gate.sigmoid() * cell + input_gate.sigmoid() * new.tanh()


@fuse
def _next_hidden(output_gate: Tensor, cell: Tensor) -> Tensor:
    return output_gate.sigmoid() * cell.tanh()


@fuse
def _gated(r: Tensor, r2: Tensor, z: Tensor, z2: Tensor, n: Tensor, n2: Tensor, hidden: Tensor) -> Tensor:
    new = (n + (r + r2).sigmoid() * n2).tanh()
    return new + (z + z2).sigmoid() * (hidden - new)


def split(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """Split (n, count * width) into `count` parts (n, width)."""
    width = x.shape[1] // count
    return tuple([x[:, i * width : (i + 1) * width] for i in range(count)])


def recurrent_weights(
    gates: int, inputs: int, hidden: int, bias: bool, generator: Generator | None, dtype: DTypeLike | None
) -> tuple[Parameter, Parameter, Parameter | None, Parameter | None]:
    """weight_ih (gates * hidden, inputs), weight_hh (gates * hidden, hidden), and biases, uniform as in PyTorch."""
    rows, bound = gates * hidden, 1 / math.sqrt(hidden)

    def draw(*shape: int) -> Parameter:
        return Parameter(init.uniform(shape, bound, generator, dtype))

    weights = draw(rows, inputs), draw(rows, hidden)
    return (*weights, draw(rows), draw(rows)) if bias else (*weights, None, None)


def step_of(nonlinearity: str) -> Step:
    """The step of a plain recurrent layer. Raises ValueError for a name other than "tanh" and "relu"."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'nonlinearity must be "tanh" or "relu"; got {nonlinearity!r}')
    return tanh_step if nonlinearity == "tanh" else relu_step


class _Cell(Module):
    """The base of the cells: their arguments and weights."""

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
        unbatched = input.ndim == 1
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
        if unbatched:
            input, state = input.unsqueeze(0), tuple([x.unsqueeze(0) for x in state])
        state = step(F.linear(input, self.weight_ih, self.bias_ih), state, self.weight_hh, self.bias_hh)
        return tuple([x.squeeze(0) for x in state]) if unbatched else state

    def extra_repr(self) -> str:
        bias = ", bias=False" if self.bias_ih is None else ""
        return f"{self.input_size}, {self.hidden_size}{bias}"


class RNNCell(_Cell):
    """tanh or relu of the sum of two linear layers: (batch, input_size) and a state to the next state.

    Args:
        input_size: the features of the input.
        hidden_size: the features of the state.
        nonlinearity: "tanh" or "relu".
        bias: whether to add biases.
        generator: the source of the initial weights; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight_ih, weight_hh: (rows, input_size) and (rows, hidden_size), where `rows` is hidden_size, for `GRUCell` 3
            times and for `LSTMCell` 4 times that.
        bias_ih, bias_hh: (rows,) each, or None.

    Raises:
        TypeError: a dtype other than float32 and float64; in a call, an argument that is not a Tensor.
        ValueError: a size below 1; in a call, shapes that do not match.

    >>> nn.RNNCell(4, 8)(ones(2, 4)).shape
    (2, 8)
    """

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
    """(batch, input_size) and a state (hidden, cell) to the next (hidden, cell).

    Arguments, attributes and errors are those of `RNNCell`, without `nonlinearity`.

    >>> hidden, cell = nn.LSTMCell(4, 8)(ones(2, 4))
    >>> hidden.shape, cell.shape
    ((2, 8), (2, 8))
    """

    gates = 4

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]: ...  # type: ignore[override]

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        hidden, cell = self._next(lstm_step, input, None if hx is None else pair("LSTMCell", hx), 2)
        return hidden, cell


class GRUCell(_Cell):
    """(batch, input_size) and a state to the next state.

    Arguments, attributes and errors are those of `RNNCell`, without `nonlinearity`.

    >>> nn.GRUCell(4, 8)(ones(2, 4)).shape
    (2, 8)
    """

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(gru_step, input, None if hx is None else (hx,), 1)[0]


def pair(what: str, given: object) -> State:
    """The hidden and cell states that `given` holds. TypeError for anything but two of them."""
    if isinstance(given, tuple | list) and len(given) == 2:
        return tuple(given)
    got = f"{type(given).__name__} of {len(given)}" if isinstance(given, tuple | list) else type(given).__name__
    raise TypeError(f"the state of {what}: got {got}, expected a pair of tensors, (hidden, cell)")


def expect_sizes(what: str, input_size: int, hidden_size: int) -> None:
    """TypeError unless both are integers, ValueError unless both are 1 or more."""
    expect_ints(what, input_size=input_size, hidden_size=hidden_size)
    if input_size < 1 or hidden_size < 1:
        raise ValueError(f"{what} needs at least one feature for input and state; got {input_size} and {hidden_size}")
