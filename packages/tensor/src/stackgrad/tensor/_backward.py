"""Backpropagation: each node of the graph turns the gradient of its result into gradients of its inputs.

A node waits until everything computed from it has contributed its part, so each is visited once, in a loop without
recursion. Gradients are tensors. With `create_graph` they are computed with the same recorded operations, so a gradient
can have a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any, cast

from ._autograd import Edge
from ._errors import not_a_tensor
from ._hooks import after_gradient, call
from ._mode import GradMode, here
from ._source import refresh
from ._tape import open_tapes
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


def _walk(
    roots: Sequence[Tensor], gradients: Sequence[Tensor], retain_graph: bool, wanted: Set[Edge] | None = None
) -> Iterator[tuple[Any, Tensor]]:
    """Yield each leaf under `roots`, or each of the `wanted` nodes and leaves there, with its whole gradient.

    A node always comes before the nodes it was made from.
    """
    found: dict[Edge, list[Any]] = {}  # for each edge the number of contributions still to come, and their sum so far
    edge: Edge
    for root, gradient in zip(roots, gradients, strict=True):
        edge = root.node or root
        if edge in found:
            found[edge][1] = found[edge][1] + gradient
        else:
            found[edge] = [0, gradient]
    first = list(found)
    stack = list(found)
    while stack:
        edge = stack.pop()
        if isinstance(edge, Value):
            continue
        for child in edge.edges:
            if child is None:
                continue
            if child in found:
                found[child][0] += 1
            else:
                found[child] = [1, None]
                stack.append(child)
    ready = [edge for edge in first if not found[edge][0]]
    while ready:
        edge = ready.pop()
        total = found.pop(edge)[1]  # None: no gradient reached it
        if isinstance(edge, Value):
            if total is not None and (wanted is None or edge in wanted):
                yield edge, total
            continue
        if total is None:
            parts: Sequence[Tensor | None] = (None,) * len(edge.edges)
        else:
            if wanted is not None and edge in wanted:
                yield edge, total._settled()  # a `PooledGradient` as a plain tensor
            parts = edge.gradients(total)
        for child, part in zip(edge.edges, parts):  # noqa: B905 - equally long, and faster without the check
            if child is None:
                continue
            entry = found[child]
            if part is not None:
                entry[1] = part if entry[1] is None else entry[1] + part
            entry[0] = left = entry[0] - 1
            if not left:
                ready.append(child)
        if not retain_graph:
            edge.free()


def _start(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """The gradients to start from: the given ones, or 1 for an output of one element."""
    if len(gradients) != len(outputs):
        raise ValueError(f"{len(gradients)} gradients for {len(outputs)} outputs: expected one for each")
    started = []
    for out, gradient in zip(outputs, gradients, strict=True):
        if not out.requires_grad:
            raise RuntimeError(
                "backward from a tensor that does not require a gradient: nothing it was made from has requires_grad"
            )
        if gradient is None:
            data = out.data
            if data.size != 1:
                raise ValueError(
                    f"backward from a tensor of shape {out.shape} needs a gradient of that shape: "
                    "only one element has a default, 1"
                )
            started.append(out.new(out.backend.full(data.shape, 1, data.dtype)))
            continue
        if not isinstance(gradient, Value):
            raise not_a_tensor("gradient", gradient)
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
    """Add the gradient of `out` to the `.grad` of every leaf that it was made from and that requires a gradient."""
    # A gradient may be a view, the caller's tensor or the grad of another leaf: each leaf gets its own memory.
    taken = {id(gradient.data)} if isinstance(gradient, Value) else set()
    mode = here.mode
    # Without `create_graph`, nothing that backward computes is recorded, and functions may call the backend directly.
    recorded, mode.recording = mode.recording, create_graph
    try:
        for leaf, total in _walk([out], _start([out], [gradient]), retain_graph or create_graph):
            before = leaf._grad
            if before is not None or open_tapes:
                before = leaf.grad  # which tells open tapes that it was read
            if before is not None:
                leaf.give_grad(before + total)
            else:
                _share_layout(total, leaf)
                data = total.data
                if id(data) in taken or not (total.layout.in_order and total.backend.owns_memory(data)):
                    total = total.clone()
                leaf.give_grad(total)
                taken.add(id(total.data))
            if after_gradient:
                call(leaf)
    finally:
        mode.recording = recorded


def _share_layout(gradient: Tensor, leaf: Tensor) -> None:
    """Give the gradient the leaf's layout, if it is equal: the optimizer's plans are then found by identity."""
    data, layout = gradient.data, leaf.layout
    if gradient._layout is not layout and data.strides == layout.strides:
        gradient._layout, gradient._laid = layout, data


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

    A weight has the shape and dtype of its output; None stands for 1 if the output has one element. A gradient has the
    shape and dtype of its input. No `.grad` changes. With `create_graph` the result can be differentiated again;
    `retain_graph` (default: as `create_graph`) keeps the graph for another pass.

    Raises RuntimeError for a graph that was freed, and for an input that the outputs were not made from (unless
    `allow_unused`: then its gradient is None). Raises ValueError and TypeError for weights of a wrong shape, dtype or
    type, and ValueError for `only_inputs=False`, which PyTorch has deprecated.

    >>> x = tensor([3.0], requires_grad=True)
    >>> grad(x * x, x)
    (tensor([6.]),)
    """
    if not only_inputs:
        raise ValueError("grad with only_inputs=False: expected True; backward() adds to the grad of all leaves")
    outs, ins = _listed("outputs", outputs), _listed("inputs", inputs)
    for x in (*outs, *ins):
        if not isinstance(x, Value):
            raise not_a_tensor("grad", x)
        refresh(x)
    if grad_outputs is None or isinstance(grad_outputs, Value):
        weights = [grad_outputs] * len(outs)
    else:
        weights = _listed("grad_outputs", grad_outputs)
    found = gradients(outs, ins, weights, create_graph if retain_graph is None else retain_graph, create_graph)
    for i, (x, gradient) in enumerate(zip(ins, found, strict=True)):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"inputs[{i}] of shape {x.shape} was not used to compute the outputs, or does not require a gradient"
            )
    return cast("tuple[Tensor, ...]", found)


def _listed(name: str, given: Any) -> list[Any]:
    """A tensor or several as a list. Raises TypeError for anything else."""
    if isinstance(given, Value):
        return [given]
    if not hasattr(type(given), "__iter__"):
        raise not_a_tensor(f"grad: {name}", given, "a tensor or a sequence of them")
    return list(given)


def gradients(
    outs: Sequence[Tensor],
    ins: Sequence[Tensor],
    weights: Sequence[Tensor | None],
    retain_graph: bool,
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """As `grad`, with None for an input that was not used to compute the outputs."""
    wanted: list[Edge] = [x.node or x for x in ins]
    with GradMode(create_graph):
        found = dict(_walk(outs, _start(outs, weights), retain_graph, set(wanted)))
    return tuple([found.get(edge) for edge in wanted])
