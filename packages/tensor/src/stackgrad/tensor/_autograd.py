"""Reverse-mode automatic differentiation: the graph of what was computed. `_backward` walks it.

Every differentiable operation is a `Function` or a row of the op table. Applying one to a tensor that requires a
gradient creates a `Node`: in this file for a `Function`, in `_ops` for a row. The node holds the `Context`, where the
function keeps what its backward needs, and an edge for each tensor argument: to the node that made that tensor, for a
leaf to the tensor itself, and None if it requires no gradient. A leaf is a tensor that no recorded operation made, such
as a parameter.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Union

from ._mode import here  # `here.mode`: what this thread records
from ._source import Source, refresh
from ._types import DType, Shape
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


Edge = Union["Node", Value]
"""Where the gradient of an argument goes: to the node that made the tensor or, for a leaf, to the tensor itself."""

Saved = tuple["Tensor", int, "weakref.ref[Node] | None"]
"""A tensor, its version when it was saved and, if it is the node's own result, the node."""


class Context:
    """What a function keeps from its forward for its backward: the `ctx` argument of both.

    Keep tensors with `save` and anything else as an attribute, under any name. The attributes below start with two
    underscores, so Python renames them, and a function's own cannot collide with them.
    """

    if TYPE_CHECKING:  # the attributes that functions set and read

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    __saved: list[Saved] | None = None  # None while nothing is recorded

    def __init__(self, inputs: Sequence[Any] = (), function: Any = None, saved: list[Saved] | None = None) -> None:
        self.__inputs = inputs  # the edges or, while nothing is recorded, the arguments
        if saved is not None:
            self.__function, self.__saved = function, saved

    def __repr__(self) -> str:
        return f"Context(saved={[x.shape for x, _, _ in self.__saved or ()]})"

    @property
    def needs(self) -> tuple[bool, ...]:
        """For each tensor argument, whether its gradient is needed."""
        if self.__saved is None:
            return tuple([False for x in self.__inputs if isinstance(x, Value)])
        return tuple([edge is not None for edge in self.__inputs])

    def save(self, *tensors: Tensor) -> None:
        """Keep inputs or the result for backward, which finds them in `saved`, in this order.

        Raises TypeError for anything but tensors.
        """
        saved = self.__saved
        if saved is None:
            return
        saved.clear()
        try:
            for x in tensors:
                version = x._version
                saved.append((x, 0 if version is None else version.count, None))
        except AttributeError:
            given = ", ".join(type(x).__name__ for x in tensors)
            raise TypeError(
                f"ctx.save({given}) in {self.__function.__name__}.forward: expected tensors; keep anything else as an "
                "attribute of ctx, as ctx.scale = 2.0"
            ) from None

    save_for_backward = save  # PyTorch's name

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """PyTorch's name for `saved`."""
        return self.saved

    @property
    def saved(self) -> tuple[Tensor, ...]:
        """The saved tensors. Raises RuntimeError if one has been changed in place since."""
        saved = self.__saved
        return tuple(check_unchanged(saved, lambda: self.__function._describe(self))) if saved else ()


def check_unchanged(saved: Sequence[Saved], name: Callable[[], str]) -> list[Tensor]:
    """The tensors that an operation of that name saved. Raises RuntimeError if one has been changed in place since."""
    found = []
    for x, count, node in saved:
        version = x._version
        if version is not None and version.count != count:
            raise RuntimeError(
                f"backward through {name()} needs a tensor of shape {x.shape} that was changed in place (it is at "
                f"version {version.count}, was saved at {count}): copy it first, or write out of place"
            )
        found.append(x if node is None or not here.mode.recording else _made_by(node(), x))
    return found


def _made_by(node: Node | None, alias: Tensor) -> Tensor:
    """The result of `node`, which saved it as `alias`."""
    out = alias.new(alias.data, alias.version)
    out.node, out._requires_grad = node, True
    return out


class Node:
    """One application of a function: a node of the graph."""

    __slots__ = ("__weakref__", "_context", "_function", "_name", "_saved", "edges", "expected", "freed")

    def __init__(self, function: Any, edges: list[Edge | None], context: Any, saved: list[Saved], out: Tensor) -> None:
        self._function = function
        self._context = context  # None once freed
        self._saved = saved
        self.edges = edges
        self.expected: Sequence[tuple[Shape, DType]] = ()
        """The expected shapes and dtypes of the gradients, if these are checked."""
        self.freed = False
        """Whether a backward pass that did not keep the graph has visited this node."""
        for i, (x, count, _) in enumerate(saved):
            if x is out:  # `out` owns this node: saving `out` itself would make a reference cycle, so save an alias
                saved[i] = (out.new(out.data, out.version, out._layout), count, weakref.ref(self))
        out.node = self
        out._requires_grad = True

    def __repr__(self) -> str:
        return f"Node({self.name}{', freed' if self.freed else ''})"

    @property
    def name(self) -> str:
        """The name of the function, or of the operation it performed."""
        return self._name if self._context is None else self._function._describe(self._context)

    def context_of(self, function: type[Function]) -> Context | None:
        """The context of that function; None if another function made this node, or it was freed."""
        return self._context if self._function is function else None

    def gradients(self, g: Tensor) -> Sequence[Tensor | None]:
        """The gradient for each tensor argument, given that of the result."""
        context = self._context
        if context is None:
            raise self._was_freed()
        found = self._function.backward(context, g)
        gradients = found if isinstance(found, tuple) else (found,)
        return self._checked(gradients) if self.expected else gradients

    def _was_freed(self) -> RuntimeError:
        return RuntimeError(
            f"backward through {self.name} for a second time: what it had saved was freed by the first; "
            "pass retain_graph=True to the first"
        )

    def _checked(self, gradients: tuple[Any, ...]) -> tuple[Tensor | None, ...]:
        """The gradients, copied where they share a saved tensor's memory. Raises for other shapes and dtypes."""
        if len(gradients) != len(self.edges):
            raise ValueError(
                f"{self.name}.backward returned {len(gradients)} gradients: "
                f"expected one for each of {len(self.edges)} tensors, and nothing for the other arguments of apply"
            )
        for gradient, expected in zip(gradients, self.expected, strict=True):
            if gradient is None:
                continue
            if not isinstance(gradient, Value):
                raise TypeError(f"{self.name}.backward returned {type(gradient).__name__}: expected a tensor or None")
            if (gradient.data.shape, gradient.data.dtype) != expected:
                raise self._unlike(gradient, *expected)
        for x, _, _ in self._saved:
            for gradient in gradients:
                if gradient is not None and gradient.data is x.data:
                    gradients = tuple([g.clone() if g is gradient else g for g in gradients])
        return gradients

    def _unlike(self, gradient: Value, shape: Shape, dtype: DType) -> Exception:
        returned = f"{self.name}.backward returned a gradient of"
        if gradient.shape != shape:
            return ValueError(f"{returned} shape {gradient.shape} for a tensor of shape {shape}")
        return TypeError(f"{returned} {gradient.dtype} for a tensor of {dtype}: expected the same; use .astype(...)")

    def free(self) -> None:
        """Drop what was saved. If nothing was saved, backward can run again."""
        self.freed = True
        if self._saved:
            self._name = self.name
            self._context = None
            self._saved = []
            self.edges = [None] * len(self.edges)


class Function:
    """A differentiable operation. Subclass it with two static methods and call `apply`.

    `forward(ctx, *args)` computes one tensor from tensors and other arguments, and keeps what backward needs with
    `ctx.save(...)` or as attributes of `ctx`. `backward(ctx, g)` takes the gradient of the result and returns one
    gradient (or None) for each tensor argument: a tuple, or the gradient alone if there is one. A backward written
    with tensor operations can itself be differentiated.

    >>> class Double(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> Double.apply(ones(2))
    tensor([2., 2.])
    """

    @staticmethod
    def forward(ctx: Context, *args: Any, **kwargs: Any) -> Tensor:  # subclasses take any arguments
        raise TypeError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Any:
        raise TypeError("a Function defines backward(ctx, g)")

    @classmethod
    def _describe(cls, ctx: Context) -> str:
        """Its name in error messages."""
        return cls.__name__

    is_checked = True
    """Whether the shapes and dtypes of its gradients are checked, as for the user's own functions."""

    @classmethod
    def _compute(cls, ctx: Context, args: tuple[Any, ...], recorded: bool) -> Tensor:
        """The result of `forward`, which must be one tensor. `recorded`: whether the caller records operations."""
        out = cls.forward(ctx, *args)
        if not isinstance(out, Value):
            raise TypeError(f"{cls.__name__}.forward returned {type(out).__name__}: expected one tensor")
        if out.source is not None:
            for x in args:
                if isinstance(x, Value) and x.version is out.version:
                    break
            else:
                out.source = None  # a view of memory that nobody else has
        return out

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """Return the result of `forward`, and record it if a tensor among `args` requires a gradient."""
        mode = here.mode
        recorded, observer = mode.recording, mode.observer
        if not (recorded or observer):  # as during backward
            return cls._compute(Context(args), args, False)
        edges: list[Edge | None] = []
        needed = False
        for x in args:
            if isinstance(x, Value):
                if recorded and Source.written:  # x may be a view of memory that was written to
                    refresh(x)
                if recorded and x._requires_grad:
                    edges.append(x.node or x)
                    needed = True
                else:
                    edges.append(None)
        saved: list[Saved] = []
        ctx = Context(edges, cls, saved) if needed else Context(args)
        mode.recording = False
        try:
            out = cls._compute(ctx, args, recorded)
        finally:
            mode.recording = recorded
        if needed and out.data.dtype.kind == "f":
            for x in args:
                if x is out:  # an input keeps its own node
                    out = out.new(out.data, out.version)
                    out.source = Source(outside=True, lost=True)
                    break
            node = Node(cls, edges, ctx, saved, out)
            if cls.is_checked:
                node.expected = [(x.data.shape, x.data.dtype) for x in args if isinstance(x, Value)]
        if observer is not None:
            observer(cls, args, out)
        return out


class BuiltinFunction(Function):
    """A Function of this package. Tests check its gradients, not each call."""

    is_checked = False
