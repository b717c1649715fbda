"""Functions whose work is recorded once and then done again without the Python around it.

A training step is the same work each time: the same kernels on the same memory, with other numbers in it. To play
the tape of that work takes a fraction of the time that the Python took which led to it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import update_wrapper
from threading import RLock
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from . import _backend
from ._mode import here
from ._recording import Arguments, Recording
from ._tape import capturing
from ._value import Value

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

MOST_RECORDINGS = 16


class _Forms:
    """The recordings of one function, or of one object's method, by the form of the arguments.

    None were made for a form with which the function was called once: it is recorded the next time.
    """

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner
        self.recordings: dict[Any, list[Recording]] = {}
        self.count = 0
        self.lock = RLock()

    def __reduce__(self) -> Any:  # a copy of the object has recorded nothing
        return _Forms, ()


class Captured(Generic[P, R]):
    """A function of tensors that is recorded and replayed. Made by `capture`."""

    def __init__(self, function: Callable[P, R], reuse_results: bool = False, forms: _Forms | None = None) -> None:
        self._function = function
        self._reuse_results = reuse_results
        self._forms = forms or _Forms()
        update_wrapper(self, function)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Captured[P, R]: ...
    @overload
    def __get__(self: Captured[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Captured[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Captured[..., R]:
        """The method of an object: each object has recordings of its own, which live as long as it does."""
        if instance is None:
            return self
        key = f"__captured_{getattr(self._function, '__name__', 'method')}"
        forms = vars(instance).get(key)
        if forms is None or forms.owner != id(instance):
            forms = vars(instance)[key] = _Forms(id(instance))
        return Captured(MethodType(self._function, instance), self._reuse_results, forms)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        arguments: Arguments = dict(enumerate(args))  # type: ignore[arg-type]
        arguments.update(kwargs)  # type: ignore[arg-type]
        form = _form_of(arguments)
        if capturing.tape is not None:
            raise RuntimeError("a captured function was called while another one is recorded: capture the outer alone")
        backends = [x.backend for x in arguments.values()] or [_backend.get_backend()]
        if here.mode.observer is not None or not all([backend.captures for backend in backends]):  # noqa: C419 - faster
            return self._function(*args, **kwargs)
        forms = self._forms
        with forms.lock:
            recordings = forms.recordings.get(form)
            for made in recordings or ():
                if made.holds():
                    return made.replay(arguments)  # type: ignore[no-any-return]
            if recordings is not None and forms.count < MOST_RECORDINGS:
                made = Recording(self._function, arguments, self._reuse_results)
                forms.count += 1
                recordings.append(made)
                return made.results(arguments)  # type: ignore[no-any-return]
            if recordings is None and forms.count < MOST_RECORDINGS:
                forms.recordings[form] = []
            elif recordings:
                self._warn(recordings[-1])
        return self._function(*args, **kwargs)

    def _warn(self, last: Recording) -> None:
        """Say, once, why the function is not replayed any more."""
        if self._forms.count == MOST_RECORDINGS:
            self._forms.count += 1
            name = getattr(self._function, "__qualname__", repr(self._function))
            warnings.warn(
                f"captured function {name} was recorded {MOST_RECORDINGS} times, the last time because "
                f"{last.change()} changed; from now on it is called where no recording fits: pass what changes as a "
                "tensor",
                RuntimeWarning,
                stacklevel=3,
            )


def _form_of(arguments: Arguments) -> Any:
    """What recordings are made for: the forms of the arguments, and what work depends on besides."""
    parts: list[Any] = [here.mode.recording, _backend._chosen]
    for name, x in arguments.items():
        if not isinstance(x, Value):
            raise TypeError(f"a captured function was given {type(x).__name__}: expected tensors alone")
        if x._requires_grad:
            raise ValueError(
                f"a captured function was given a tensor of shape {x.shape} that requires a gradient, which does "
                "not flow back through a replay: pass .detach()"
            )
        data = x.data
        parts.append((name, data.shape, data.strides, data.dtype, x.backend))
    return tuple(parts)


@overload
def capture(function: Callable[P, R]) -> Captured[P, R]: ...
@overload
def capture(*, reuse_results: bool = False) -> Callable[[Callable[P, R]], Captured[P, R]]: ...


def capture(function: Callable[P, R] | None = None, *, reuse_results: bool = False) -> Any:
    """`function`, called once for each form of its arguments, recorded the second time, and from then on replayed.

        @capture
        def step(images, labels):
            optimizer.zero_grad()
            loss = cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

    A replay repeats the recorded work on tensors, in the same order on the same memory, and none of the Python around
    it: its results are those of a call, to the bit. On a backend that cannot do so, such as `numpy`, the function is
    called each time. A form is the names, shapes, strides, dtypes and backends of the arguments, which are tensors
    without gradients. It works on methods, too; each object has recordings of its own.

    **What replays follow.** Values of arguments, and what the function writes to them in place. Tensors that the
    function uses besides, such as parameters: their values, and what it writes to them. The `grad` of leaves: dropped,
    read, added to and set as a call would, whatever happened to it since. Draws from generators; optimizers of
    `stackgrad.nn`, their settings and schedules; `Module.train` and `eval`; whatever else goes through `each_time`.

    **What makes a new recording.** Python runs when a function is recorded, so `if`, `for` and numbers are those of
    the recording. Each call looks whether they can still be: variables, attributes and lists that the function's code
    names, or the code of what it calls, and the tensors that it uses, must be the ones that they were, `requires_grad`
    and gradients of None included. Where they are not, it is recorded once more: after `model.eval()`, with a new
    parameter, with another number in a global variable, or in a counter that it reads outside of `each_time`. After 16
    recordings it is called where none of them fits, and a RuntimeWarning says what keeps changing. Not looked at are
    files, clocks, the environment, what methods of other libraries' objects do, and the entries of lists, dicts and
    arrays of more than 1,000.

    **What it refuses**, with RuntimeError when it is recorded: to read a value (`item`, `numpy`, `bool(x > 0)`, a mask
    as an index), which would be that of the recording for ever; to change variables, attributes or lists other than by
    `each_time`; to draw from generators of Python or NumPy, or take the next value of an iterator; to go backward into
    a history from outside, or give a tensor with a history; to give a view of an argument, or two tensors that share
    memory; to write to memory that is an argument and also used otherwise; to call another captured function.

    Results are new tensors each time, in tuples, lists and dicts. With `reuse_results` they are the same ones, with
    new values, which saves the copies: use them before the next call. On a GPU a replay does not wait for its check of
    class numbers: the next value that is read raises ValueError for one that is out of range. Each recording keeps the
    memory that it works in. Calls from several threads wait for each other.

    A call raises TypeError for arguments that are no tensors and ValueError for one that requires a gradient.
    """
    if function is None:
        return lambda function: Captured(function, reuse_results)
    return Captured(function, reuse_results)
