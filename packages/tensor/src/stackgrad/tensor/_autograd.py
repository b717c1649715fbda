"""Reverse-mode automatic differentiation: the record of what was computed. The way back through it is `_backward`.

Every differentiable operation is a `Function`. Applying one to a tensor that requires a gradient leaves a `Node`
behind: the `Context`, in which the function kept what its backward needs, and an edge for each tensor it was given,
leading to the node that made that tensor or, for a leaf, to the tensor itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from ._backend import DType
from ._mode import here
from ._shape import Shape
from ._source import Source, refresh
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


Edge = Union["Node", Value]

# A tensor, the version at which it was saved, and where it is the node's own result, the node.
Saved = tuple["Tensor", int, "weakref.ref[Node] | None"]


class Context:
    """What a function keeps from its forward for its backward: the `ctx` of both.

    Tensors go through `save`; anything else is set as an attribute, of any name. The graph keeps nothing here.
    """

    if TYPE_CHECKING:  # what functions set and read back

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    __args: tuple[Any, ...] = ()  # where nothing is recorded
    __needs: tuple[bool, ...] | None = None
    __saved: list[Saved] | None = None

    @classmethod
    def recorded(cls, function: type[Function], needs: tuple[bool, ...], saved: list[Saved]) -> Context:
        """One for an application that leaves a node behind, which has the list of what is `saved`."""
        ctx = cls()
        ctx.__function, ctx.__needs, ctx.__saved = function, needs, saved
        return ctx

    @classmethod
    def unrecorded(cls, args: tuple[Any, ...]) -> Context:
        """One for an application that nobody goes back through: it keeps nothing."""
        ctx = cls()
        ctx.__args = args
        return ctx

    @property
    def needs(self) -> tuple[bool, ...]:
        """For each tensor among the arguments, whether its gradient is wanted."""
        needs = self.__needs
        return tuple([False for x in self.__args if isinstance(x, Value)]) if needs is None else needs

    def save(self, *tensors: Tensor) -> None:
        """Keep inputs or the result for backward, where they stand in `saved` in this order."""
        saved = self.__saved
        if saved is None:  # not recorded
            return
        saved.clear()
        try:
            for x in tensors:
                saved.append((x, x.writes, None))
        except AttributeError:
            given = ", ".join(type(x).__name__ for x in tensors)
            raise TypeError(
                f"ctx.save({given}) in {self.__function.__name__}.forward: expected tensors; keep anything else as an "
                "attribute of ctx, as ctx.scale = 2.0"
            ) from None

    save_for_backward = save  # as PyTorch calls it

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """`saved`, as PyTorch calls it."""
        return self.saved

    @property
    def saved(self) -> tuple[Tensor, ...]:
        """What was saved. Raises RuntimeError where it was changed in place since."""
        found = []
        for x, count, node in self.__saved or ():
            if x.writes != count:
                raise RuntimeError(
                    f"backward through {self.__function._describe(self)} needs a tensor of shape {x.shape} that was "
                    f"changed in place (it is at version {x.writes}, was saved at {count}): copy it first, or "
                    "write out of place"
                )
            found.append(x if node is None else _made_by(node(), x))
        return tuple(found)


def _made_by(node: Node | None, alias: Tensor) -> Tensor:
    """The result of `node`, which saved it as `alias`."""
    out = alias.new(alias.data, alias.version)
    out.node, out._requires_grad = node, True
    return out


class Node:
    """What one application of a function left behind."""

    __slots__ = ("__weakref__", "_context", "_forms", "_function", "_name", "_saved", "edges", "freed")

    def __init__(
        self, function: type[Function], inputs: Sequence[Tensor], context: Context, saved: list[Saved], out: Tensor
    ) -> None:
        self._function = function
        self._context: Context | None = context
        self._saved = saved
        self.edges: list[Edge | None] = []
        self._forms: list[tuple[Shape, DType]] = []  # of the gradients
        for x in inputs:
            self.edges.append((x.node or x) if x._requires_grad else None)
            self._forms.append((x.data.shape, x.data.dtype))
        self.freed = False
        """Whether backward has passed here and let go of what was saved."""
        for i in range(len(saved)):
            if saved[i][0] is out:  # kept as an alias, and without the node: a node must not own its owner
                saved[i] = (out.new(out.data, out.version), saved[i][1], weakref.ref(self))
        out.node = self
        out._requires_grad = True

    @property
    def name(self) -> str:
        """The name of the function, or of the operation it did."""
        return self._name if self._context is None else self._function._describe(self._context)

    def gradients(self, g: Tensor) -> tuple[Tensor | None, ...]:
        """What the function gives back for each of its tensors, checked, in memory that is not a saved tensor's."""
        context, saved = self._context, self._saved
        if context is None:
            raise RuntimeError(
                f"backward through {self.name} for a second time: what it had saved was freed by the first; "
                "pass retain_graph=True to the first"
            )
        found = self._function.backward(context, g)
        gradients = found if isinstance(found, tuple) else (found,)
        if len(gradients) != len(self.edges):
            raise ValueError(
                f"{self.name}.backward gave {len(gradients)} gradients: "
                f"expected one for each of {len(self.edges)} tensors"
            )
        for gradient, form in zip(gradients, self._forms):  # noqa: B905 - as many, and faster
            if gradient is None:
                continue
            if not isinstance(gradient, Value):
                raise TypeError(f"{self.name}.backward gave {type(gradient).__name__}: expected a tensor or None")
            if (gradient.data.shape, gradient.data.dtype) != form:
                raise self._unlike(gradient, *form)  # type: ignore[arg-type]
        for x, _, _ in saved:
            for gradient in gradients:
                if gradient is not None and gradient.data is x.data:
                    gradients = tuple([g.clone() if g is gradient else g for g in gradients])
        return gradients

    def _unlike(self, gradient: Tensor, shape: Shape, dtype: DType) -> Exception:
        gave = f"{self.name}.backward gave a gradient of"
        if gradient.shape != shape:
            return ValueError(f"{gave} shape {gradient.shape} for a tensor of shape {shape}")
        return TypeError(f"{gave} {gradient.dtype} for a tensor of {dtype}: expected the same; use .astype(...)")

    def free(self) -> None:
        """Let go of what was saved. Backward may pass again where that was nothing."""
        self.freed = True
        if self._saved and self._context is not None:
            self._name = self.name
            self._context = None
            self._saved = []
            self.edges = [None] * len(self.edges)


class Function:
    """A differentiable operation. Subclass it with two static methods and call `apply`.

    `forward(ctx, *args)` computes one tensor from tensors and other arguments; what backward needs it keeps by
    `ctx.save(...)` or as attributes of `ctx`. `backward(ctx, g)` gets the gradient of the result and returns one
    gradient (or None) for each tensor argument, as a tuple, or alone if there is one. Written with operations of
    tensors, it can itself be differentiated.
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Tensor:
        raise TypeError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Any:
        raise TypeError("a Function defines backward(ctx, g)")

    @classmethod
    def _describe(cls, ctx: Context) -> str:
        """What it is called in messages."""
        return cls.__name__

    @classmethod
    def _compute(cls, ctx: Context, args: tuple[Any, ...]) -> Tensor:
        """The result of `forward`, which must be one tensor."""
        out = cls.forward(ctx, *args)
        if not isinstance(out, Value):
            raise TypeError(f"{cls.__name__}.forward gave {type(out).__name__}: expected one tensor")
        if out.source is not None:
            for x in args:
                if isinstance(x, Value) and x.version is out.version:
                    break
            else:
                out.source = None  # a view of what nobody else has
        return out

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """The result of `forward`, recorded when a tensor among `args` requires a gradient."""
        mode = here.mode
        recorded, observer = mode.recording, mode.observer
        if not (recorded or observer):  # as on the way back
            return cls._compute(Context.unrecorded(args), args)
        inputs: list[Tensor] = []
        needs: list[bool] = []
        for x in args:
            if isinstance(x, Value):
                if recorded and Source.written:
                    refresh(x)
                inputs.append(x)  # type: ignore[arg-type]
                needs.append(x._requires_grad)
        saved: list[Saved] | None = [] if recorded and True in needs else None
        ctx = Context.unrecorded(args) if saved is None else Context.recorded(cls, tuple(needs), saved)
        mode.recording = False
        try:
            out = cls._compute(ctx, args)
        finally:
            mode.recording = recorded
        if saved is not None and out.data.dtype.kind == "f":
            for x in inputs:
                if x is out:  # an input must keep its own place in the graph
                    out = out.new(out.data, out.version)
                    out.source = Source(outside=True, lost=True)
                    break
            Node(cls, inputs, ctx, saved, out)
        if observer is not None:
            observer(cls, args, out)
        return out
