"""Captured functions: their work is recorded once and then repeated without the Python around it.

A training step is the same work each time: the same kernels on the same memory, with other values in it. Replaying a
tape of that work takes a fraction of the time of the Python code that produced it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import update_wrapper
from threading import RLock
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from . import _installed
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

    A form that was called once has an empty list: the next call is recorded.
    """

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner
        self.recordings: dict[Any, list[Recording]] = {}
        self.count = 0
        self.lock = RLock()

    def __reduce__(self) -> Any:  # a copy of the object starts without recordings
        return _Forms, ()


class Captured(Generic[P, R]):
    """A function of tensors that is recorded and replayed; `capture` creates it."""

    def __init__(self, function: Callable[P, R], reuse_results: bool = False) -> None:
        self._function = function
        self._reuse_results = reuse_results
        self._forms = _Forms()
        update_wrapper(self, function)

    def __repr__(self) -> str:
        count = sum(map(len, self._forms.recordings.values()))
        return f"Captured({_name_of(self._function)}, {count} recording{'' if count == 1 else 's'})"

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Captured[P, R]: ...
    @overload
    def __get__(self: Captured[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Captured[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Captured[..., R]:
        """The method of an object: each object has its own recordings, which live as long as it does."""
        if instance is None:
            return self
        key = f"__captured_{getattr(self._function, '__name__', 'method')}"
        forms = vars(instance).get(key)
        if forms is None or forms.owner != id(instance):
            forms = vars(instance)[key] = _Forms(id(instance))
        method: Captured[..., R] = Captured(MethodType(self._function, instance), self._reuse_results)
        method._forms = forms
        return method

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        arguments: Arguments = dict(enumerate(args))  # type: ignore[arg-type]
        arguments.update(kwargs)  # type: ignore[arg-type]
        form = _form_of(arguments)
        if capturing.tape is not None:
            raise RuntimeError("a captured function was called while another one is recorded: capture the outer alone")
        backends = [x.backend for x in arguments.values()] or [_installed.get_backend()]
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
        """Warn, once, that the function is not replayed any more, and why."""
        if self._forms.count == MOST_RECORDINGS:
            self._forms.count += 1
            warnings.warn(
                f"captured function {_name_of(self._function)} was recorded {MOST_RECORDINGS} times, the last time "
                f"because {last.change()} changed; from now on it is called when no recording matches: pass what "
                "changes as a tensor",
                RuntimeWarning,
                stacklevel=3,
            )


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def _form_of(arguments: Arguments) -> Any:
    """The key of recordings: the forms of the arguments, the grad mode and the default backend.

    Raises TypeError for arguments that are not tensors and ValueError for one that requires a gradient.
    """
    parts: list[Any] = [here.mode.recording, _installed._chosen]
    for name, x in arguments.items():
        if not isinstance(x, Value):
            raise TypeError(f"a captured function was given {type(x).__name__}: expected tensors alone")
        if x._requires_grad:
            raise ValueError(
                f"a captured function was given a tensor of shape {x.shape} that requires a gradient, which cannot "
                "flow back through a replay: pass .detach()"
            )
        data = x.data
        parts.append((name, data.shape, data.strides, data.dtype, x.backend))
    return tuple(parts)


@overload
def capture(function: Callable[P, R]) -> Captured[P, R]: ...
@overload
def capture(*, reuse_results: bool = False) -> Callable[[Callable[P, R]], Captured[P, R]]: ...


def capture(function: Callable[P, R] | None = None, *, reuse_results: bool = False) -> Any:
    """Return `function` captured: for each form of its arguments it is called once, then recorded, then replayed.

        @capture
        def step(images, labels):
            optimizer.zero_grad()
            loss = cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

    A replay repeats the recorded work on tensors, in the same order on the same memory, and none of the Python around
    it. Its results are bitwise equal to those of a call. On a backend that cannot replay, such as `numpy`, every call
    runs the function. A form is the names, shapes, strides, dtypes and backends of the arguments, which must be tensors
    that require no gradient. Methods can be captured, too; each object has its own recordings.

    **What replays follow.** The values of arguments and of other tensors that the function uses, such as parameters,
    and in-place writes to them. The `grad` of leaves: a replay drops, reads, adds to and sets it as a call would. Draws
    from generators; optimizers of `stackgrad.nn` with their settings and schedules; `Module.train` and `eval`; all work
    passed to `each_time`.

    **What causes a new recording.** Python runs only while a function is recorded, so `if`, `for` and Python scalars
    keep their recorded outcome. Each call checks that this is still valid: the variables, attributes and lists that the
    function's code and the code it calls refer to must be unchanged, and so must the tensors it uses, their
    `requires_grad`, and gradients that were None. If not, the function is recorded again: for example after
    `model.eval()`, with a new parameter, or with a new value of a global variable or of a counter that it reads outside
    `each_time`. After 16 recordings, a call that matches none runs the function, and a RuntimeWarning says what keeps
    changing. Changes to files, clocks, the environment, the inside of other libraries' objects, and the entries of
    lists, dicts and arrays of more than 1,000 are not detected.

    **What recording refuses**, with RuntimeError: reading a value (`item`, `numpy`, `bool(x > 0)`, a mask as an index);
    changing variables, attributes or lists outside `each_time`; drawing from generators of Python or NumPy; advancing
    an iterator; going backward into a history from outside; returning a tensor with a history, a view of an argument,
    or two tensors that share memory; writing to memory that is both an argument and used otherwise; calling another
    captured function.

    Each call returns new tensors, also in tuples, lists and dicts. With `reuse_results` it returns the same ones with
    new values, which saves the copies: use them before the next call. On a GPU, a replay does not wait for its check of
    class indices: the next read of a value raises ValueError for an index out of range. Each recording keeps its
    working memory. Calls from several threads wait for each other.

    A call raises TypeError for arguments that are not tensors and ValueError for one that requires a gradient.

    >>> @capture
    ... def double_sum(x):
    ...     return (x * 2).sum()
    >>> double_sum(ones(3, backend="numpy"))
    tensor(6.)
    """
    if function is None:
        return lambda function: Captured(function, reuse_results)
    return Captured(function, reuse_results)
