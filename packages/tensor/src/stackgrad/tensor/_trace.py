"""A traced function: its expressions, their gradients, and the graph of a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ._autograd import BuiltinFunction, Context, Edge, Node, Saved
from ._backward import gradients
from ._cut import cheapest
from ._expression import Expression, Untraceable, tracing
from ._mode import GradMode, here
from ._program import Program
from ._source import Source, refresh
from ._tape import captured_on

if TYPE_CHECKING:
    from ._tensor import Tensor
    from ._types import Array


@contextmanager
def traced() -> Iterator[None]:
    """Within this context, record operations for gradients, and put nothing on a tape."""
    with captured_on(None), GradMode(True):
        yield


def symbol(index: int, like: Tensor) -> Tensor:
    """A symbolic tensor for an operand."""
    from ._tensor import Tensor

    out = Tensor(Expression("input", index, (), like.shape, like.dtype), tracing)
    out._requires_grad = like.dtype.kind == "f"
    return out


class Trace:
    """A function as expressions: `outputs` computed from `inputs`, tensors on the backend `tracing` with a history.

    Each output is a root of the program or one of the inputs. `shared`: whether equal outputs may share memory, also
    with the inputs that they are views of. Gradients may.
    """

    def __init__(
        self, name: str, inputs: list[Tensor], scalars: list[Expression], outputs: Sequence[Any], shared: bool
    ) -> None:
        self.name, self.inputs, self.scalars, self.outputs = name, inputs, scalars, outputs
        self.given = [x.data for x in inputs] + scalars
        self.roots: list[Expression] = []
        self._of_output: list[tuple[str, int] | None] = []  # "input" or "root", and its index
        known = {id(x.data): ("input", i) for i, x in enumerate(inputs)}
        for i, x in enumerate(outputs):
            same = next((j for j in range(i) if outputs[j] is x), None)
            if x is None or same is not None:
                self._of_output.append(None if same is None else self._of_output[same])
                continue
            root = x.data
            while not shared and (root.kind == "view" or root in self.roots):
                root = Expression("cast", None, (root,), root.shape, root.dtype)  # a copy
            if id(root) not in known:
                known[id(root)] = ("root", len(self.roots))
                self.roots.append(root)
            self._of_output.append(known[id(root)])
        self._are_roots = self._of_output == [("root", i) for i in range(len(outputs))]
        self._recorded: dict[tuple[bool, ...], Recorded] = {}

    @cached_property
    def _forward(self) -> Program:
        return Program(self.roots, self.given)

    def __call__(self, tensors: list[Tensor], scalars: Sequence[int | float]) -> list[Any]:
        """The outputs for these operands."""
        mode = here.mode
        arrays = self.arrays(tensors, scalars)
        needs: tuple[bool, ...] = ()
        if mode.recording:
            if Source.written:
                for x in tensors:
                    refresh(x)
            needs = tuple([x._requires_grad for x in tensors])
        if not (True in needs or mode.observer is not None):
            new = tensors[0].new
            return self.outputs_of([new(array) for array in self._forward(tensors[0].backend, arrays)], tensors)
        recorded = self._recorded.get(needs)
        if recorded is None:
            with captured_on(None):
                recorded = self._recorded[needs] = Recorded(self, needs)
        return self.outputs_of(recorded.call(tensors, arrays, scalars), tensors)

    def arrays(self, tensors: Sequence[Tensor], scalars: Sequence[int | float]) -> tuple[Array, ...]:
        """The arrays of tensors and scalars."""
        arrays = [x.data for x in tensors]
        if scalars:
            constant = tensors[0].backend.constant
            arrays += [constant(x, e.dtype) for x, e in zip(scalars, self.scalars, strict=True)]
        return tuple(arrays)

    def outputs_of(self, made: Sequence[Tensor], tensors: Sequence[Tensor]) -> list[Any]:
        """The outputs, taken from the tensors made for the roots and from the operands."""
        if self._are_roots:
            return list(made)
        out: list[Any] = []
        for source, traced in zip(self._of_output, self.outputs, strict=True):
            if source is None:
                out.append(None)
            elif source[0] == "root":
                out.append(made[source[1]])
            else:
                x = tensors[source[1]]
                out.append(x if traced.requires_grad or not x.requires_grad else x.detach())
        return out

    def gradient(self, root: int, needs: Sequence[bool]) -> Trace | None:
        """The gradient of a root for the inputs that need it, as a function of the inputs and the root's gradient.

        None if no gradient flows to them. Raises TypeError if it cannot be fused.
        """
        out = next(x for x, source in zip(self.outputs, self._of_output, strict=True) if source == ("root", root))
        if not out.requires_grad:
            return None
        g = symbol(len(self.inputs), out)
        with traced():
            wanted = [x for x, need in zip(self.inputs, needs, strict=True) if need]
            try:
                found = iter(gradients([out], wanted, [g], True, True))
            except Untraceable as error:
                raise TypeError(
                    f"{self.name} cannot be fused if a gradient is needed: in the gradient of a reduction such as prod "
                    f"{error}"
                ) from None
        outputs = [next(found) if need else None for need in needs]
        if all(x is None for x in outputs):
            return None
        return Trace(f"the gradient of {self.name}", [*self.inputs, g], self.scalars, outputs, shared=True)


class Recorded:
    """A trace whose application creates nodes. `needs`: which inputs require a gradient."""

    def __init__(self, trace: Trace, needs: tuple[bool, ...]) -> None:
        at_hand = [x.data for x in trace.inputs] + trace.roots
        self._gradients: list[Gradient | None] = []
        for i in range(len(trace.roots)):
            of_root = trace.gradient(i, needs) if True in needs else None
            self._gradients.append(Gradient(of_root, trace, at_hand) if of_root else None)
        kept = {id(x): x for gradient in self._gradients if gradient for x in gradient.saved}
        for x in at_hand:
            kept.pop(id(x), None)
        values = [*trace.roots, *kept.values()]
        self._program = Program(values, trace.given)
        at = {id(x): i for i, x in enumerate([*values, *trace.given])}
        self._records = any(self._gradients)
        self._saved = [[at[id(x)] for x in gradient.saved] if gradient else [] for gradient in self._gradients]

    def call(self, tensors: list[Tensor], arrays: tuple[Array, ...], scalars: Sequence[int | float]) -> list[Tensor]:
        """Tensors for the roots."""
        first = tensors[0]
        made = [first.new(array) for array in self._program(first.backend, arrays)]
        known = [*made, *tensors]
        edges: list[Edge | None] = []
        if self._records:
            edges = [(x.node or x) if x._requires_grad else None for x in tensors]
        observer, outs = here.mode.observer, made[: len(self._gradients)]
        for gradient, out, wanted in zip(self._gradients, outs, self._saved, strict=True):
            if gradient is not None:
                saved: list[Saved] = []
                context = Context(edges, Fused, saved)
                context.gradient, context.scalars = gradient, scalars
                aliases = [x if x is out else x.new(x.data, x.version) for x in [known[i] for i in wanted]]
                context.save(*tensors, *aliases)
                Node(Fused, edges, context, saved, out)
            if observer is not None:
                observer(Fused, tuple(tensors), out)
        return outs


class Gradient:
    """The gradient of one root, computed from the values that forward `saved`; its `trace` computes it from inputs."""

    def __init__(self, trace: Trace, forward: Trace, at_hand: list[Expression]) -> None:
        self.name, self.trace = forward.name, trace
        g = self.trace.inputs[-1].data
        self.saved = cheapest(self.trace.roots, g, at_hand)
        self._program = Program(self.trace.roots, [*self.saved, g, *trace.scalars])

    def __call__(self, tensors: Sequence[Tensor], saved: Sequence[Tensor], scalars: Any, g: Tensor) -> list[Any]:
        found = self._program(g.backend, self.trace.arrays([*saved, g], scalars))
        return self.trace.outputs_of([g.new(array) for array in found], [*tensors, g])


class Fused(BuiltinFunction):
    """The function that observers see for each result of a fused function, with its backward."""

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Any:
        gradient, count = ctx.gradient, len(ctx.needs)
        tensors, saved = ctx.saved[:count], ctx.saved[count:]
        if here.mode.recording:
            return tuple(gradient.trace([*tensors, g], ctx.scalars))
        return tuple(gradient(tensors, saved, ctx.scalars, g))

    @classmethod
    def _describe(cls, ctx: Context) -> str:
        return ctx.gradient.name  # type: ignore[no-any-return]
