"""Where views come from, and how they find their history after a write that is part of the graph (see _writing)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._mode import enable_grad

if TYPE_CHECKING:
    from ._autograd import Function
    from ._shape import Shape
    from ._value import Value


class Source:
    """Where a view comes from. By this it finds its history and the strides that PyTorch's view would have.

    `way`: the tensor it is a view of, the function that made it and the arguments of that. None where there is no way
    back: it was made `outside` the graph, under no_grad() for instance, or it is no view of another tensor at all.
    `lost`: a write through it would have to change the history of a tensor to which there is no way back.
    `strides`: without a way, PyTorch's where the memory has others.
    """

    __slots__ = ("depth", "lost", "outside", "seen", "strides", "way")
    written = False  # whether a write was ever part of a graph: until then each view has the history it was made with

    def __init__(
        self,
        way: tuple[Value, type[Function], tuple[Any, ...]] | None = None,
        seen: int = 0,
        depth: int = 0,
        outside: bool = False,
        lost: bool = False,
        strides: Shape | None = None,
    ) -> None:
        self.way = way
        self.seen = seen  # writes that are part of the graph, of those that its history takes account of
        self.depth = depth  # views that it is a view of, one of the other
        self.outside, self.lost, self.strides = outside, lost, strides


def refresh(x: Value) -> None:
    """Give a view the history that follows from what was written, with a record, to the memory since it was made."""
    behind = []
    while x.source is not None and x.source.way is not None and x.source.seen != x.version.records:
        behind.append((x, x.source, x.source.way))
        x = x.source.way[0]
    for view, source, (parent, function, args) in reversed(behind):
        source.seen = view.version.records
        if parent._requires_grad and (view.node is not None or not view._requires_grad):
            with enable_grad():
                again = function.apply(parent, *args)
            view.node, view._requires_grad = again.node, True
