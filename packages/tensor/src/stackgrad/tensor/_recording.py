"""One recording of a captured function and its replays: the same work on the same memory, with new values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _grads
from ._grads import like
from ._guard import holds
from ._surroundings import Surroundings
from ._tape import Tape, captured_on
from ._value import Value
from ._writing import count_writes, expect_writable

if TYPE_CHECKING:
    from ._tensor import Tensor
    from ._value import Version

Arguments = dict[int | str, "Tensor"]  # by position or name
Results = Callable[[Arguments], Any]


class Recording:
    """The recorded work of a function. `replay` repeats it for other arguments of the same form, while `holds`."""

    def __init__(self, function: Callable[..., Any], arguments: Arguments, reuse_results: bool) -> None:
        self._inputs = {name: _copy_of(x) for name, x in arguments.items()}
        self._tape = tape = Tape()
        given = [x for name, x in self._inputs.items() if isinstance(name, int)]
        named = {name: x for name, x in self._inputs.items() if isinstance(name, str)}
        watch = tape.watch = Watch(function, tape)
        try:
            with captured_on(tape, partial(_observe, tape)):
                found = function(*given, **named)
        finally:
            left = {id(slot.leaf._grad): slot.leaf for slot in tape.gradients.values()}
            _grads.close(tape)
            self._writes = {name: x.version.count for name, x in self._inputs.items() if x.version.count}
            self._give_back(arguments)
        watch.stop()
        self._surroundings = watch.lasting()
        self._gradients = list(tape.gradients.values())
        self._read = [slot for slot in self._gradients if slot.read]
        for slot in self._gradients:
            if isinstance(slot.left, _grads.Lent):
                _expect_no_history("left a gradient", slot.left.tensor)
        internal = {id(x) for x in (*self._inputs.values(), *(slot.copy for slot in self._gradients))}
        outer = [(x, count) for key, (x, count) in tape.outer.items() if key not in internal]
        self._outer = [(x, x.data, x._requires_grad) for x, _ in outer]
        self._guards = [*tape.watched, self._surroundings.guard()]
        counts = {id(x.version): (x, x.version.count - before) for x, before in reversed(outer)}
        self._outer_writes = [(x, x.version, count) for x, count in counts.values() if count]
        self._outer_versions, self._written = set(counts), {key for key, (_, count) in counts.items() if count}
        self._expect_apart(arguments)
        self._results = _Results(tape, self._inputs, left, reuse_results).of(found)
        del found, left
        tape.settle()

    def holds(self) -> bool:
        """Whether everything that the function uses besides its arguments is unchanged."""
        for x, data, requires_grad in self._outer:
            if x.data is not data or x._requires_grad is not requires_grad:
                return False
        return all(map(holds, self._guards)) and all([slot.matches() for slot in self._read])  # noqa: C419 - faster

    def change(self) -> str:
        """A description of what has changed."""
        changed = self._surroundings.changed()
        return next((entry.name for entry in changed.values()), "a tensor, gradient or optimizer that it uses")

    def results(self, arguments: Arguments) -> Any:
        """The results of the last call or replay, which had these arguments."""
        return self._results(arguments)

    def replay(self, arguments: Arguments) -> Any:
        """The results of the function for these arguments."""
        self._expect_apart(arguments)
        for name, x in arguments.items():
            x.backend.assign(self._inputs[name].data, x.data)
        for slot in self._read:
            slot.enter()
        try:
            for work in self._tape:
                work()
        except BaseException:
            for slot in self._gradients:
                slot.give_up()
            raise
        for written, version, count in self._outer_writes:
            version.count += count
            if version.twins:
                version.write_twins(written.backend, written.data)
        self._give_back(arguments)
        for slot in self._gradients:
            slot.leave()
        return self._results(arguments)

    def _give_back(self, arguments: Arguments) -> None:
        """Copy the function's in-place writes to the arguments."""
        for name, count in self._writes.items():
            x = arguments[name]
            expect_writable("in-place write", x)
            x.backend.assign(x.data, self._inputs[name].data)
            count_writes(x, count)

    def _expect_apart(self, arguments: Arguments) -> None:
        """Raise RuntimeError if a write would be visible in an argument, since replays work on copies of arguments."""
        for name, x in arguments.items():
            others = [id(y.version) for other, y in arguments.items() if other != name] if self._writes else []
            if id(x.version) in self._written or (
                name in self._writes and (id(x.version) in self._outer_versions or id(x.version) in others)
            ):
                raise RuntimeError(
                    f"a captured function writes to memory of shape {x.shape} that is an argument and also used "
                    "otherwise, which a replay cannot do: pass .clone()"
                )


class Watch:
    """Detects changes to Python objects while a function is recorded: replays follow only those in `each_time`."""

    def __init__(self, function: Callable[..., Any], tape: Tape) -> None:
        self._function, self._tape = function, tape
        self._first = self._now = Surroundings(function)
        self._works: set[CodeType] = set()

    def stop(self) -> None:
        """Raise RuntimeError if anything was changed since the start or the last `resume`."""
        for entry in self._now.changed().values():
            if self._is_of_tensor(entry.array):
                continue
            if not entry.lasts:
                raise RuntimeError(
                    f"a captured function drew from {entry.name}, which a replay would not do: draw outside, and pass "
                    "the values, or use the random functions of stackgrad.tensor"
                )
            raise RuntimeError(
                f"a captured function changed {entry.name}, which a replay would not do: do it outside, return it as a "
                "tensor, or do it in each_time(...)"
            )

    def resume(self, work: Any) -> None:
        """Resume after `work` of `each_time`, which replays do, too."""
        while not hasattr(work, "__code__") and (isinstance(work, partial) or hasattr(work, "__func__")):
            work = work.func if isinstance(work, partial) else work.__func__
        if hasattr(work, "__code__"):
            self._works.add(work.__code__)
        if self._now.changed():
            self._now = Surroundings(self._function)

    def lasting(self) -> Surroundings:
        """The surroundings used outside `each_time`: replays must find them as they were before the recording."""
        entries = self._first.entries
        used = Surroundings(self._function, frozenset(self._works)).entries
        for at, entry in list(entries.items()):
            if at not in used or not entry.lasts or self._is_of_tensor(entry.array):
                del entries[at]
        return self._first

    def _is_of_tensor(self, array: NDArray[Any] | None) -> bool:
        """Whether the array is the memory of a tensor that the function uses: replays read its current values."""
        used = (
            x.data
            for x in (*self._tape.inner.values(), *(x for x, _ in self._tape.outer.values()))
            if isinstance(x, Value)
        )
        return array is not None and any(
            isinstance(data, np.ndarray) and np.may_share_memory(data, array) for data in used
        )


class _Results:
    """Builds the function that returns the results of a replay."""

    def __init__(self, tape: Tape, inputs: Arguments, gradients: dict[int, Value], reuse: bool) -> None:
        self._tape, self._gradients, self._reuse = tape, gradients, reuse
        self._arguments = {id(x): name for name, x in inputs.items()}
        self._versions = {id(x.version) for x in inputs.values()}
        self._made: dict[int, Tensor] = {}

    def of(self, found: Any) -> Results:
        """A function from the arguments of a replay to its results, which have the structure of `found`."""
        if isinstance(found, Value):
            return self._of_tensor(found)  # type: ignore[arg-type]
        if found is None:
            return lambda arguments: None
        if isinstance(found, dict):
            keys, parts = list(found), [self.of(x) for x in found.values()]
            return lambda arguments: dict(zip(keys, [part(arguments) for part in parts], strict=True))
        if isinstance(found, (tuple, list)):
            parts = [self.of(x) for x in found]
            make = getattr(found, "_make", type(found))  # works for a named tuple, too
            return lambda arguments: make([part(arguments) for part in parts])
        raise TypeError(
            f"a captured function returned a value of type {type(found).__name__}, which replays would repeat: "
            "expected tensors, and None, tuples, lists and dicts of them"
        )

    def _of_tensor(self, x: Tensor) -> Results:
        if id(x) in self._gradients:
            leaf = self._gradients[id(x)]
            return lambda arguments: leaf.grad
        if id(x) in self._arguments:
            name = self._arguments[id(x)]
            return lambda arguments: arguments[name]
        if id(x.version) in self._versions:
            raise RuntimeError(
                f"a captured function returned a view of shape {x.shape} of an argument, but replays copy arguments: "
                "return .clone()"
            )
        if id(x) not in self._tape.inner:
            return lambda arguments: x
        _expect_no_history("returned a tensor", x)
        if id(x.version) not in self._tape.inner or self._reuse:
            return lambda arguments: x
        other = self._made.setdefault(id(x.version), x)
        if other is not x or any(lent is x.version for lent in self._lent()):
            raise RuntimeError(
                f"a captured function returned a tensor of shape {x.shape} that shares memory with another result or "
                "a gradient: return .clone()"
            )
        return lambda arguments: _copy_of(x)

    def _lent(self) -> Iterator[Version]:
        for slot in self._tape.gradients.values():
            if isinstance(slot.left, _grads.Lent):
                yield slot.left.tensor.version


def _observe(tape: Tape, function: Any, args: tuple[Any, ...], out: Tensor) -> None:
    """Record the tensors that a Function was given, and its node."""
    inputs = [x for x in args if isinstance(x, Value)]
    node = None if any(x is out for x in inputs) else out.node
    for x in inputs:
        tape.use(x, node is not None)
    if node is not None:
        tape.made(node)


def _copy_of(x: Tensor) -> Tensor:
    """A copy of x with the same strides, without its history."""
    out = like(x)
    out.backend.assign(out.data, x.data)
    if x.node is not None:  # backward has passed through it already, as in the call
        out.node, out._requires_grad = x.node, True
    return out


def _expect_no_history(what: str, x: Tensor) -> None:
    if x.node is not None and not x.node.freed:
        raise RuntimeError(
            f"a captured function {what} of shape {x.shape} with a history, which a replay cannot have: "
            "call backward() in it, or return .detach()"
        )
