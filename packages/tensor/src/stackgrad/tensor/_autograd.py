"""Reverse-mode automatic differentiation: the record of what was computed. The way back through it is `_backward`.

Every differentiable operation is a `Function`. Applying one to a tensor that requires a gradient leaves a `Node`
behind: what the function kept, and an edge for each tensor it was given, leading to the node that made that
tensor or, for a leaf, to the tensor itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Union, cast

from ._backend import Array, Backend, DType
from ._shape import Shape
from ._tape import expect_captured, expect_readable

if TYPE_CHECKING:
    from ._tensor import Tensor


class _Mode(threading.local):
    recording = True
    observer: Callable[[type[Function], tuple[Any, ...], Tensor], None] | None = None


_mode = _Mode()


@contextmanager
def no_grad(recording: bool = False) -> Iterator[None]:
    """Within this context, or a function decorated with `@no_grad()`, nothing is recorded; with `recording`, all is."""
    outside, _mode.recording = _mode.recording, recording
    try:
        yield
    finally:
        _mode.recording = outside


@contextmanager
def observed(observer: Callable[[type[Function], tuple[Any, ...], Tensor], None]) -> Iterator[None]:
    """Within this context, each function that is applied in this thread is told to `observer`.

    It is called after the function, with its class, the arguments of `apply`, and the result.
    """
    outside, _mode.observer = _mode.observer, observer
    try:
        yield
    finally:
        _mode.observer = outside


def is_recording() -> bool:
    """Whether operations are recorded for backward."""
    return _mode.recording


class Version:
    """How often a piece of memory was written in place; shared by all its views."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Value:
    """An array and its place in the graph: the part of a tensor that differentiation needs."""

    __slots__ = ("__weakref__", "_requires_grad", "backend", "data", "grad", "node", "version")

    def __init__(self, data: Array, backend: Backend, version: Version | None = None) -> None:
        self.data = data
        self.backend = backend
        self.version = version or Version()
        self.node: Node | None = None
        self._requires_grad = False
        self.grad: Tensor | None = None

    def new(self, data: Array, version: Version | None = None) -> Tensor:
        """A tensor around `data` on the same backend; `version` is given for a view."""
        raise TypeError("a Value is not a tensor")

    @property
    def shape(self) -> Shape:
        return self.data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        return self.data.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self.data.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size  # type: ignore[no-any-return]

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() of a tensor of shape {self.shape}: expected one element")
        expect_readable("item()")
        return self.backend.to_numpy(self.data).item()

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` reaches it. Setting it raises TypeError unless the dtype is a float's."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"a tensor of dtype {self.dtype} has no gradient: expected float32 or float64")
        if not wanted and self.node is not None:
            raise RuntimeError("requires_grad = False on a tensor that was computed and has a history: use .detach()")
        self._requires_grad = bool(wanted)


Edge = Union["Node", Value]


class Node:
    """What one application of a function left behind; the `ctx` of its forward and backward.

    `needs` says for each tensor argument whether its gradient is wanted. Anything else a function wants to keep
    for backward it may set as an attribute.
    """

    if TYPE_CHECKING:  # what functions set and read back

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, function: type[Function], inputs: Sequence[Tensor]) -> None:
        self.function = function
        self.name = function.__name__
        self.needs = tuple([x._requires_grad for x in inputs])
        self._saved: list[tuple[Tensor, int]] | None = []
        self._output: Tensor | None = None
        self.edges: tuple[Edge | None, ...] = tuple([(x.node or x) if x._requires_grad else None for x in inputs])
        self.shapes = tuple([x.data.shape for x in inputs])
        self.dtypes = tuple([x.data.dtype for x in inputs])

    def save(self, *tensors: Tensor) -> None:
        """Keep inputs or the result for backward, where they stand in `saved` in this order."""
        self._saved = [(x, x.version.count) for x in tensors]

    def finish(self, out: Tensor) -> None:
        """Take the result as made here. Saved, it is kept as an alias: the node must not own its owner."""
        saved = self._unfreed()
        for i, (x, count) in enumerate(saved):
            if x is out:
                self._output = out.new(out.data, out.version)
                saved[i] = (self._output, count)
        out.node = self
        out._requires_grad = True

    @property
    def saved(self) -> tuple[Tensor, ...]:
        """What was saved. Raises RuntimeError when it was freed, or was changed in place since."""
        saved = self._unfreed()
        for x, count in saved:
            if x.version.count != count:
                raise RuntimeError(
                    f"backward through {self.name} needs a tensor of shape {x.shape} that was changed in place "
                    f"(it is at version {x.version.count}, was saved at {count}): copy it first, or write out of place"
                )
        return tuple([self._as_output(x) if x is self._output else x for x, _ in saved])

    def _as_output(self, alias: Tensor) -> Tensor:
        out = alias.new(alias.data, alias.version)
        out.node, out._requires_grad = self, True
        return out

    def gradients(self, g: Tensor) -> tuple[Tensor | None, ...]:
        """What the function gives back for each of its tensors, checked, in memory that is not a saved tensor's."""
        saved = self._unfreed()
        found = self.function.backward(self, g)
        gradients = found if isinstance(found, tuple) else (found,)
        if len(gradients) != len(self.edges):
            raise ValueError(
                f"{self.name}.backward gave {len(gradients)} gradients: "
                f"expected one for each of {len(self.edges)} tensors"
            )
        for gradient, shape, dtype in zip(gradients, self.shapes, self.dtypes, strict=True):
            if gradient is None:
                continue
            if not isinstance(gradient, Value):
                raise TypeError(f"{self.name}.backward gave {type(gradient).__name__}: expected a tensor or None")
            if gradient.shape != shape:
                raise ValueError(
                    f"{self.name}.backward gave a gradient of shape {gradient.shape} for a tensor of shape {shape}"
                )
            if gradient.dtype != dtype:
                raise TypeError(
                    f"{self.name}.backward gave a gradient of {gradient.dtype} for a tensor of {dtype}: "
                    "expected the same; use .astype(...)"
                )
        if saved:
            kept = [id(x.data) for x, _ in saved]
            return tuple([x.clone() if x is not None and id(x.data) in kept else x for x in gradients])
        return gradients

    def _unfreed(self) -> list[tuple[Tensor, int]]:
        if self._saved is None:
            raise RuntimeError(
                f"backward through {self.name} for a second time: what it had saved was freed by the first; "
                "pass retain_graph=True to the first"
            )
        return self._saved

    @property
    def freed(self) -> bool:
        """Whether backward has passed here and can not again."""
        return self._saved is None

    def free(self) -> None:
        """Let go of what was saved."""
        self._saved = None
        self._output = None
        self.edges = (None,) * len(self.edges)


class _Unrecorded:
    """The `ctx` of an application that leaves no node: it wants no gradients and keeps nothing."""

    def __init__(self, count: int) -> None:
        self.needs = (False,) * count

    def save(self, *tensors: Tensor) -> None:
        pass


class Function:
    """A differentiable operation. Subclass it with two static methods and call `apply`.

    `forward(ctx, *args)` computes one tensor from tensors and other arguments; what backward needs it keeps by
    `ctx.save(...)` or as attributes of `ctx`. `backward(ctx, g)` gets the gradient of the result and returns one
    gradient (or None) for each tensor argument, as a tuple, or alone if there is one. Written with operations of
    tensors, it can itself be differentiated.
    """

    @staticmethod
    def forward(ctx: Node, *args: Any) -> Tensor:
        raise TypeError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Node, g: Tensor) -> Any:
        raise TypeError("a Function defines backward(ctx, g)")

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """The result of `forward`, recorded when a tensor among `args` requires a gradient."""
        inputs = [x for x in args if isinstance(x, Value)]
        expect_captured(inputs)
        record = _mode.recording and any([x._requires_grad for x in inputs])  # noqa: C419 - faster
        ctx = Node(cls, cast("list[Tensor]", inputs)) if record else cast("Node", _Unrecorded(len(inputs)))
        outside, _mode.recording = _mode.recording, False
        try:
            out = cls.forward(ctx, *args)
        finally:
            _mode.recording = outside
        if not isinstance(out, Value):
            raise TypeError(f"{cls.__name__}.forward gave {type(out).__name__}: expected one tensor")
        if record and out.dtype.kind == "f":
            if any([out is x for x in inputs]):  # noqa: C419 - an input must keep its own place in the graph
                out = out.new(out.data, out.version)
            ctx.finish(out)
        if _mode.observer is not None:
            _mode.observer(cls, args, out)
        return out
