"""Reverse-mode automatic differentiation: the record of what was computed, and the way back through it.

Every differentiable operation is a `Function`. Applying one to a tensor that requires a gradient leaves a `Node`
behind: what the function kept, and an edge for each tensor it was given, leading to the node that made that
tensor or, for a leaf, to the tensor itself. Gradients are tensors, computed with the same operations, so that a
gradient can have a gradient.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Union, cast

from ._backend import Array, Backend, DType
from ._shape import Shape
from ._tape import expect_captured, expect_made_here, expect_readable, recording

if TYPE_CHECKING:
    from ._tensor import Tensor


class _Mode(threading.local):
    recording = True
    observer: Callable[[type[Function], tuple[Any, ...], Tensor], None] | None = None


_mode = _Mode()


@contextmanager
def no_grad(recording: bool = False) -> Iterator[None]:
    """Within this context, or a function decorated with `@no_grad()`, nothing is recorded."""
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


def _count_uses(roots: Sequence[Edge]) -> dict[int, int]:
    """How many edges of the graph under `roots` lead to each node or leaf, by id."""
    uses = {id(root): 0 for root in roots}
    stack = list(roots)
    while stack:
        edge = stack.pop()
        for child in edge.edges if isinstance(edge, Node) else ():
            if child is None:
                continue
            if id(child) not in uses:
                uses[id(child)] = 0
                stack.append(child)
            uses[id(child)] += 1
    return uses


def _walk(roots: Sequence[Tensor], gradients: Sequence[Tensor], retain_graph: bool) -> Iterator[tuple[Edge, Tensor]]:
    """Each node and leaf under `roots` with its whole gradient, a node always before what it was made from."""
    edges: list[Edge] = [root.node or root for root in roots]
    unique = list({id(edge): edge for edge in edges}.values())
    uses = _count_uses(unique)
    total: dict[int, Tensor] = {}
    for edge, gradient in zip(edges, gradients, strict=True):
        total[id(edge)] = total[id(edge)] + gradient if id(edge) in total else gradient
    ready: list[Edge] = [edge for edge in unique if not uses[id(edge)]]
    while ready:
        edge = ready.pop()
        whole = total.pop(id(edge), None)  # None: no gradient came this way
        if whole is not None:
            yield edge, whole
        if isinstance(edge, Value):
            continue
        parts = edge.gradients(whole) if whole is not None else (None,) * len(edge.edges)
        for child, part in zip(edge.edges, parts, strict=True):
            if child is None:
                continue
            if part is not None:
                total[id(child)] = total[id(child)] + part if id(child) in total else part
            uses[id(child)] -= 1
            if not uses[id(child)]:
                ready.append(child)
        if not retain_graph:
            edge.free()


def _start(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """The gradients to begin with: those given, or 1 for an output of one element."""
    if len(gradients) != len(outputs):
        raise ValueError(f"{len(gradients)} gradients for {len(outputs)} outputs: expected one for each")
    started = []
    for out, gradient in zip(outputs, gradients, strict=True):
        if not out._requires_grad:
            raise RuntimeError(
                "backward from a tensor that does not require a gradient: nothing it was made from has requires_grad"
            )
        if gradient is None:
            if out.size != 1:
                raise ValueError(
                    f"backward from a tensor of shape {out.shape} needs a gradient of that shape: "
                    "only one element has a default, 1"
                )
            gradient = out.new(out.backend.full(out.shape, 1, out.dtype))
        if not isinstance(gradient, Value):
            raise TypeError(f"gradient of type {type(gradient).__name__}: expected a tensor")
        if gradient.backend is not out.backend:
            raise ValueError(
                f"gradient on backend {gradient.backend.name!r} for a tensor on {out.backend.name!r}: "
                f"bring it over with .to({out.backend.name!r})"
            )
        if gradient.shape != out.shape or gradient.dtype != out.dtype:
            raise ValueError(
                f"gradient of shape {gradient.shape}, {gradient.dtype} for a tensor of shape {out.shape}, {out.dtype}: "
                "expected the same"
            )
        started.append(gradient)
    return started


def backward(out: Tensor, gradient: Tensor | None, retain_graph: bool, create_graph: bool) -> None:
    """Add the gradient of `out` to the `.grad` of every leaf it was made from."""
    # A gradient may be a view, the caller's own tensor or another leaf's: each leaf gets memory of its own.
    taken = {id(gradient.data)} if isinstance(gradient, Value) else set()
    outside, _mode.recording = _mode.recording, create_graph
    try:
        for edge, total in _walk([out], _start([out], [gradient]), retain_graph or create_graph):
            if isinstance(edge, Node):
                continue
            if edge.grad is not None:
                expect_made_here(edge.grad)
                edge.grad = edge.grad + total
            else:
                edge.grad = total.clone() if id(total.data) in taken or not total.owns_memory else total
                taken.add(id(edge.grad.data))
            if recording.tape is not None:
                recording.tape.gradients.add(id(edge.grad.data))
    finally:
        _mode.recording = outside


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of the sum of `outputs`, each weighted by its `grad_outputs`, for each of `inputs`.

    Leaves every `.grad` alone. With `create_graph` the result can be differentiated again; `retain_graph`
    (default: as `create_graph`) keeps the graph for another pass. Raises RuntimeError for an input that the
    outputs were not made from.
    """
    outs = [outputs] if isinstance(outputs, Value) else list(outputs)
    ins = [inputs] if isinstance(inputs, Value) else list(inputs)
    weights = (
        [grad_outputs] * len(outs) if grad_outputs is None or isinstance(grad_outputs, Value) else list(grad_outputs)
    )
    wanted = {id(x.node or x) for x in ins}
    found: dict[int, Tensor] = {}
    with no_grad(recording=create_graph):
        for edge, total in _walk(outs, _start(outs, weights), create_graph if retain_graph is None else retain_graph):
            if id(edge) in wanted:
                found[id(edge)] = total
    for i, x in enumerate(ins):
        if id(x.node or x) not in found:
            raise RuntimeError(
                f"inputs[{i}] of shape {x.shape} took no part in the outputs, or does not require a gradient"
            )
    return tuple(found[id(x.node or x)] for x in ins)
