"""Recurrent layers, which take one step for each element of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_ints, expect_tensors

from .. import functional as F
from .._arguments import expect_tensor
from ..functional._dropout import check_probability
from ..module import Module
from .cell import State, Step, expect_sizes, gru_step, lstm_step, pair, recurrent_weights, step_of


class _Recurrent(Module):
    """The base of the recurrent layers: their arguments, weights and the loop over the steps."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_sizes(type(self).__name__, input_size, hidden_size)
        expect_ints(type(self).__name__, num_layers=num_layers)
        if num_layers < 1:
            raise ValueError(f"{type(self).__name__} needs at least one layer; got num_layers {num_layers}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = check_probability(dropout)
        self.bidirectional = bidirectional
        self.generator = generator
        for layer in range(num_layers):
            inputs = hidden_size * (2 if bidirectional else 1) if layer else input_size
            for suffix in self._suffixes(layer):
                found = recurrent_weights(self.gates, inputs, hidden_size, bias, generator, dtype)
                for name, parameter in zip(_NAMES, found, strict=True):
                    if parameter is not None:
                        setattr(self, f"{name}_{suffix}", parameter)

    def _suffixes(self, layer: int) -> list[str]:
        """The suffixes of a layer's parameter names, one for each direction."""
        return [f"l{layer}", f"l{layer}_reverse"] if self.bidirectional else [f"l{layer}"]

    def _weights(self, suffix: str) -> list[Any]:
        return [vars(self).get(f"{name}_{suffix}") for name in _NAMES]

    def _step(self) -> Step:
        raise NotImplementedError

    def _run(self, input: Tensor, start: State | None) -> tuple[Tensor, State]:
        """The output, and the last state of each layer and direction: (layers * directions, batch, hidden) each."""
        what = type(self).__name__
        expect_tensors(what, input=input)
        unbatched = input.ndim == 2
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            order = "batch, length" if self.batch_first else "length, batch"
            raise ValueError(
                f"{what}: input of shape {input.shape}: expected ({order}, {self.input_size}), or (length, "
                f"{self.input_size}) without a batch"
            )
        x = input.unsqueeze(1) if unbatched else input.transpose(0, 1) if self.batch_first else input
        if not x.shape[0]:
            raise ValueError(f"{what}: input of shape {input.shape} has length 0: expected 1 or more")
        count = self.num_layers * (2 if self.bidirectional else 1)
        shape = (count, *([] if unbatched else [x.shape[1]]), self.hidden_size)
        if start is None:
            start = (sg.zeros(*shape, dtype=x.dtype, backend=x.backend),) * self.states
        for state in start:
            expect_tensor(f"the state of {what}", state)
            if state.shape != shape:
                raise ValueError(f"{what}: state of shape {state.shape}: expected {shape}")
        start = tuple([state.reshape(count, x.shape[1], self.hidden_size) for state in start])
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training, generator=self.generator)
            outs = []
            for suffix in self._suffixes(layer):
                out, end = self._run_layer(x, tuple([each[len(last)] for each in start]), suffix)
                outs.append(out)
                last.append(end)
            x = outs[0] if len(outs) == 1 else sg.concatenate(outs, 2)
        ends = tuple([sg.stack(list(each)).reshape(*shape) for each in zip(*last, strict=True)])
        return x.squeeze(1) if unbatched else x.transpose(0, 1) if self.batch_first else x, ends

    def _run_layer(self, x: Tensor, state: State, suffix: str) -> tuple[Tensor, State]:
        """One layer in one direction: (length, batch, features) to (length, batch, hidden), and the last state."""
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights(suffix)
        given = _steps(F.linear(x, weight_ih, bias_ih))
        step, outs = self._step(), []
        for each in reversed(given) if suffix.endswith("_reverse") else given:
            state = step(each, state, weight_hh, bias_hh)
            outs.append(state[0])
        return sg.stack(outs[::-1] if suffix.endswith("_reverse") else outs), state

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        parts += [f"{name}={getattr(self, name)}" for name, usual in defaults.items() if getattr(self, name) != usual]
        return ", ".join(parts)


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _steps(x: Tensor) -> list[Tensor]:
    """x[0], x[1] and so on, split in halves, so that gradients take log(length) passes over x, not one per step."""
    if x.shape[0] == 1:
        return [x[0]]
    half = x.shape[0] // 2
    return _steps(x[:half]) + _steps(x[half:])


class RNN(_Recurrent):
    """The plain recurrent layer: the next state is tanh or relu of the sum of two linear layers.

    Args:
        input_size: the features of the input.
        hidden_size: the features of the state.
        num_layers: the number of stacked layers; each layer's output is the next one's input.
        nonlinearity: "tanh" or "relu".
        bias: whether to add biases.
        batch_first: whether input and output are (batch, length, features) rather than (length, batch, features).
        dropout: the probability of a zero between two layers in training.
        bidirectional: whether each layer has a second one that runs from the end to the start; the output joins the
            features of both.
        generator: the source of the initial weights and of dropout; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight_ih_l0, weight_hh_l0: (rows, inputs) and (rows, hidden_size), of the first layer, where `rows` is
            hidden_size, for `GRU` 3 times and for `LSTM` 4 times that; weight_ih_l1 and so on of the others;
            weight_ih_l0_reverse and so on of the reverse direction.
        bias_ih_l0, bias_hh_l0: (rows,) each, if there are biases.

    Raises:
        TypeError: a dtype other than float32 and float64; in a call, an argument that is not a Tensor.
        ValueError: a size below 1, a `dropout` outside [0, 1]; in a call, shapes that do not match.

    >>> out, last = nn.RNN(4, 8)(ones(10, 2, 4))
    >>> out.shape, last.shape
    ((10, 2, 8), (1, 2, 8))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            *(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional),
            generator=generator,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity
        step_of(nonlinearity)

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]: ...  # type: ignore[override]

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The output of each step, and the last state (layers * directions, batch, hidden_size); `hx` is the first."""
        out, (last,) = self._run(input, None if hx is None else (hx,))
        return out, last

    def _step(self) -> Step:
        return step_of(self.nonlinearity)


class GRU(_Recurrent):
    """The recurrent layer with gates that reset and keep the state.

    Arguments, attributes and errors are those of `RNN`, without `nonlinearity`.

    >>> out, last = nn.GRU(4, 8)(ones(10, 2, 4))
    >>> out.shape, last.shape
    ((10, 2, 8), (1, 2, 8))
    """

    gates = 3

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]: ...  # type: ignore[override]

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The output of each step, and the last state (layers * directions, batch, hidden_size); `hx` is the first."""
        out, (last,) = self._run(input, None if hx is None else (hx,))
        return out, last

    def _step(self) -> Step:
        return gru_step


class LSTM(_Recurrent):
    """The recurrent layer with a memory cell and three gates.

    Arguments, attributes and errors are those of `RNN`, without `nonlinearity`.

    >>> out, (hidden, cell) = nn.LSTM(4, 8)(ones(10, 2, 4))
    >>> out.shape, hidden.shape, cell.shape
    ((10, 2, 8), (1, 2, 8), (1, 2, 8))
    """

    gates = 4
    states = 2

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...  # type: ignore[override]

    def forward(  # type: ignore[override]
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The output of each step, and the last hidden and cell states; `hx` are the first ones.

        States are (layers * directions, batch, hidden_size).
        """
        out, (hidden, cell) = self._run(input, None if hx is None else pair("LSTM", hx))
        return out, (hidden, cell)

    def _step(self) -> Step:
        return lstm_step
