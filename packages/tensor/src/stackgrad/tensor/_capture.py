"""Functions whose work is recorded once and then done again without the Python around it.

A training step is the same work each time: the same kernels on the same memory, with other numbers in it. To play
the tape of that work takes a fraction of the time that the Python took which led to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._autograd import Value
from ._tape import Tape, recording

if TYPE_CHECKING:
    from ._backend import Backend, DType
    from ._shape import Shape
    from ._tensor import Tensor


MOST_FORMS = 16


class _Replay:
    """The tape of a function for arguments of certain shapes, and the tensors that it reads and makes."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Tensor, ...]) -> None:
        self._inputs = [x.detach().clone() for x in arguments]
        self._tape = recording.tape = Tape()
        try:
            self._result = function(*self._inputs)
        finally:
            recording.tape = None
        for x in self._result if isinstance(self._result, tuple) else (self._result,):
            if isinstance(x, Value) and x.node is not None and not x.node.freed:
                raise RuntimeError(
                    f"a captured function gave a tensor of shape {x.shape} with a history, which a replay cannot have: "
                    "call backward() in it, or give .detach()"
                )

    def __call__(self, arguments: tuple[Tensor, ...]) -> Any:
        for i, given in enumerate(arguments):  # as many as inputs, for the form; a strict zip takes half a microsecond
            given.backend.assign(self._inputs[i].data, given.data)
        for work in self._tape:
            work()
        return self._result


class Captured:
    """A function of tensors that is recorded and replayed. Made by `capture`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        # None where the function has run once with arguments of that form and is recorded the next time.
        self._replays: dict[tuple[tuple[Shape, DType, Backend], ...], _Replay | None] = {}

    def __call__(self, *arguments: Tensor) -> Any:
        forms = []
        for x in arguments:
            if not isinstance(x, Value):
                raise TypeError(f"a captured function was given {type(x).__name__}: expected tensors alone")
            if x._requires_grad:
                raise ValueError(
                    f"a captured function was given a tensor of shape {x.shape} that requires a gradient, which does "
                    "not flow back through a replay: pass .detach()"
                )
            forms.append((x.shape, x.dtype, x.backend))
        form = tuple(forms)
        if recording.tape is not None:
            raise RuntimeError("a captured function was called while another one is recorded: capture the outer alone")
        replay = self._replays.get(form)
        if replay is not None:
            return replay(arguments)
        if form not in self._replays:
            if len(self._replays) < MOST_FORMS:
                self._replays[form] = None
            return self._function(*arguments)
        if not all(x.backend.captures for x in arguments):
            return self._function(*arguments)
        self._replays[form] = replay = _Replay(self._function, arguments)
        return replay._result


def capture(function: Callable[..., Any]) -> Captured:
    """`function`, called twice for each form of its arguments, and from the third time on replayed.

    A replay repeats the work of the second call on tensors, in the same order on the same memory, and none of the
    Python around it; on a backend that cannot, such as `numpy`, the function is called each time. A form is the
    shapes, dtypes and backends of the arguments, which are tensors without gradients; what the function uses besides,
    parameters for instance, is used as it is. So the function must

    - do the same work on the same tensors each time: `if` and `for` are decided by the call that is recorded;
    - read no value (`item`, `numpy`, `bool(x > 0)`, a mask as an index): return the tensor, and read it outside;
    - call `backward` itself, and drop old gradients first, as `zero_grad` of an optimizer does.

    On a GPU a replay does not wait for its check of class numbers: the next value that is read raises ValueError for
    one that is out of range. Optimizers of `stackgrad.nn`, their learning rates and schedules, and draws from
    generators go on as they would. The tensors that it returns are the same objects each time, with new values: copy
    what is to outlast the next call, and call it from one thread at a time. Each form keeps the memory that it works
    in; of more than 16 forms, the rest are never recorded.

    A call raises TypeError for arguments that are no tensors, ValueError for one that requires a gradient, and
    RuntimeError where the function does what cannot be replayed.

        @capture
        def step(images, labels):
            optimizer.zero_grad()
            loss = cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()
    """
    return Captured(function)
