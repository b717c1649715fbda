"""Whether operations are recorded for backward: `no_grad` and `enable_grad`, as contexts and as decorators."""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._autograd import Function
    from ._tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R")
Observer: TypeAlias = "Callable[[type[Function], tuple[Any, ...], Tensor], None]"
"""What `observed` calls with each function that is applied, its arguments and its result."""


class Mode:
    """The mode of one thread: whether it records operations for backward, and the observer of its operations.

    `outside`: the contexts it is in, with the mode before each.
    """

    __slots__ = ("observer", "outside", "recording")

    def __init__(self) -> None:
        self.recording = True
        self.outside: list[tuple[GradMode, bool]] = []
        self.observer: Observer | None = None


class _Here(threading.local):
    def __init__(self) -> None:
        self.mode = Mode()


here = _Here()  # read `here.mode` once for several uses: that look-up costs the most


class GradMode:
    """A context and decorator in which operations are recorded, or not.

    One object may be used repeatedly, nested, and in several threads; each thread has its own mode.
    """

    __slots__ = ("_recording",)

    def __init__(self, recording: bool) -> None:
        self._recording = recording

    def __repr__(self) -> str:
        return "enable_grad()" if self._recording else "no_grad()"

    def __enter__(self) -> None:
        mode = here.mode
        mode.outside.append((self, mode.recording))
        mode.recording = self._recording

    def __exit__(self, *exception: object) -> None:
        mode = here.mode
        entered, at = mode.outside, -1
        while entered[at][0] is not self:  # another began within this one and is still open
            at -= 1
        mode.recording = entered.pop(at)[1]

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """`function`, run in this mode; a generator or a coroutine only while it runs, not while it is suspended.

        Raises TypeError for a class and for an asynchronous generator: decorate the function that does the work.
        """
        if isinstance(function, type) or not callable(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"no_grad or enable_grad of {function!r}: expected a function; decorate what does the work")
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def generator(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
                return (yield from self._resumed(function(*args, **kwargs)))

            return cast("Callable[P, R]", generator)
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self._awaited(function(*args, **kwargs))

            return cast("Callable[P, R]", coroutine)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return call

    def _resumed(self, inner: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """`inner`, resumed in this mode each time; the outer mode is restored whenever it yields."""
        resume: Callable[[Any], Any] = inner.send
        value: Any = None
        while True:
            try:
                with self:
                    given = resume(value)
            except StopIteration as end:
                return end.value
            try:
                resume, value = inner.send, (yield given)
            except GeneratorExit:
                with self:
                    inner.close()
                raise
            except BaseException as error:
                resume, value = inner.throw, error

    @types.coroutine
    def _awaited(self, inner: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        return (yield from self._resumed(inner))


class set_grad_enabled(GradMode):
    """Record operations from now on, or not; as a context until it ends, as a decorator within the function.

    It applies to the calling thread. Enter one object once only.

    >>> with set_grad_enabled(False):
    ...     is_recording()
    False
    """

    __slots__ = ("_before",)

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._before = here.mode.recording
        here.mode.recording = mode

    def __enter__(self) -> None:
        here.mode.outside.append((self, self._before))
        here.mode.recording = self._recording

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        here.mode.recording = self._before
        return GradMode(self._recording)(function)


@overload
def no_grad(function: None = None) -> GradMode: ...
@overload
def no_grad(function: Callable[P, R]) -> Callable[P, R]: ...
def no_grad(function: Callable[P, R] | None = None) -> GradMode | Callable[P, R]:
    """Record nothing within `with no_grad():`, or in a function decorated with `@no_grad()` or `@no_grad`.

    >>> x = tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    return GradMode(False) if function is None else GradMode(False)(function)


@overload
def enable_grad(function: None = None) -> GradMode: ...
@overload
def enable_grad(function: Callable[P, R]) -> Callable[P, R]: ...
def enable_grad(function: Callable[P, R] | None = None) -> GradMode | Callable[P, R]:
    """Inside `no_grad`, record again within `with enable_grad():`, or in a function decorated with it.

    >>> x = tensor([1.0], requires_grad=True)
    >>> with no_grad(), enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """
    return GradMode(True) if function is None else GradMode(True)(function)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Within this context, call `observer` after each function that this thread applies.

    Its arguments are the function's class, the arguments of `apply`, and the result. Outer observers are called, too.

    >>> with observed(lambda function, args, out: print(function.__name__)):
    ...     y = ones(2) + 1
    Elementwise
    """
    if not callable(observer):
        raise TypeError(f"observed: observer must be a function; got {type(observer).__name__}")
    mode = here.mode
    outside = mode.observer

    def both(*applied: Any) -> None:
        if outside is not None:
            outside(*applied)
        observer(*applied)

    mode.observer = both
    try:
        yield
    finally:
        mode.observer = outside


def is_recording() -> bool:
    """Whether operations are recorded for backward.

    >>> with no_grad():
    ...     is_recording()
    False
    """
    return here.mode.recording
