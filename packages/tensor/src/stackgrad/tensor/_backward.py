"""The way back through the record of what was computed: each node hands the gradient of its result on to its inputs.

A node waits until all that was made from it has handed its part on, so each is visited once, in a loop without
recursion. Gradients are tensors, computed with the same operations, so that a gradient can have a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from ._autograd import Edge, Node
from ._errors import no_tensor
from ._mode import GradMode
from ._source import refresh
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


def _count_uses(roots: Sequence[Edge]) -> dict[int, int]:
    """How many edges of the graph under `roots` lead to each node or leaf, by id."""
    uses = {id(root): 0 for root in roots}
    stack = [root for root in roots if isinstance(root, Node)]
    while stack:
        for child in stack.pop().edges:
            if child is None:
                continue
            key = id(child)
            if key in uses:
                uses[key] += 1
            else:
                uses[key] = 1
                if isinstance(child, Node):
                    stack.append(child)
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
        for child, part in zip(edge.edges, parts):  # noqa: B905 - as many, and faster
            if child is None:
                continue
            key = id(child)
            if part is not None:
                before = total.get(key)
                total[key] = part if before is None else before + part
            left = uses[key] = uses[key] - 1
            if not left:
                ready.append(child)
        if not retain_graph:
            edge.free()


def _start(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """The gradients to begin with: those given, or 1 for an output of one element."""
    if len(gradients) != len(outputs):
        raise ValueError(f"{len(gradients)} gradients for {len(outputs)} outputs: expected one for each")
    started = []
    for out, gradient in zip(outputs, gradients, strict=True):
        if not out.requires_grad:
            raise RuntimeError(
                "backward from a tensor that does not require a gradient: nothing it was made from has requires_grad"
            )
        if gradient is None:
            if out.data.size != 1:
                raise ValueError(
                    f"backward from a tensor of shape {out.shape} needs a gradient of that shape: "
                    "only one element has a default, 1"
                )
            started.append(out.new(out.backend.full(out.data.shape, 1, out.data.dtype)))
            continue
        if not isinstance(gradient, Value):
            raise no_tensor("gradient", gradient)
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
    with GradMode(create_graph):
        for edge, total in _walk([out], _start([out], [gradient]), retain_graph or create_graph):
            if isinstance(edge, Node):
                continue
            before = edge.grad
            if before is not None:
                edge.give_grad(before + total)
            else:
                own = total.clone() if id(total.data) in taken or not total.owns_memory else total
                edge.give_grad(own)
                taken.add(id(own.data))


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of the sum of `outputs`, each weighted by its `grad_outputs`, for each of `inputs`.

    A weight has the shape and dtype of its output, which None stands for where that has one element: 1. A gradient has
    those of its input. Leaves every `.grad` alone. With `create_graph` the result can be differentiated again;
    `retain_graph` (default: as `create_graph`) keeps the graph for another pass.

    Raises RuntimeError for an input that the outputs were not made from, unless `allow_unused`: then its gradient is
    None; and for a graph that was freed. Raises ValueError and TypeError for weights that do not fit, and ValueError
    for `only_inputs` of False, which PyTorch has given up.
    """
    if not only_inputs:
        raise ValueError("grad with only_inputs=False: expected True; backward() adds to the grad of all leaves")
    outs = [outputs] if isinstance(outputs, Value) else list(outputs)
    ins = [inputs] if isinstance(inputs, Value) else list(inputs)
    for x in (*outs, *ins):
        if not isinstance(x, Value):
            raise no_tensor("grad", x)
        refresh(x)
    weights = (
        [grad_outputs] * len(outs) if grad_outputs is None or isinstance(grad_outputs, Value) else list(grad_outputs)
    )
    found = gradients(outs, ins, weights, create_graph if retain_graph is None else retain_graph, create_graph)
    for i, (x, gradient) in enumerate(zip(ins, found, strict=True)):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"inputs[{i}] of shape {x.shape} took no part in the outputs, or does not require a gradient"
            )
    return cast("tuple[Tensor, ...]", found)


def gradients(
    outs: Sequence[Tensor],
    ins: Sequence[Tensor],
    weights: Sequence[Tensor | None],
    retain_graph: bool,
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """What `grad` gives, and None for an input that took no part in the outputs."""
    wanted = {id(x.node or x) for x in ins}
    found: dict[int, Tensor] = {}
    with GradMode(create_graph):
        for edge, total in _walk(outs, _start(outs, weights), retain_graph):
            if id(edge) in wanted:
                found[id(edge)] = total
    return tuple(found.get(id(x.node or x)) for x in ins)
