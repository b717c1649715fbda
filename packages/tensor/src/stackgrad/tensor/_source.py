"""The origin of views, and how views find their history after a write that is part of the graph (see _writing)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._mode import enable_grad

if TYPE_CHECKING:
    from ._autograd import Function
    from ._types import Shape
    from ._value import Value


class Source:
    """The origin of a view: it determines the view's history and the strides that PyTorch's view would have.

    `origin`: the tensor it is a view of, the function that made it and that function's arguments. None if the view was
    made `outside` the graph, for example under no_grad(), or is not a view of another tensor at all.
    `lost`: a write through it would have to change the history of a tensor that cannot be found.
    `strides`: without an origin, PyTorch's strides if the memory has others.
    """

    __slots__ = ("depth", "lost", "origin", "outside", "seen", "strides")
    written = False  # whether a write was ever part of a graph: until then, views keep the history they were made with

    def __init__(
        self,
        origin: tuple[Value, type[Function], tuple[Any, ...]] | None = None,
        seen: int = 0,
        depth: int = 0,
        outside: bool = False,
        lost: bool = False,
        strides: Shape | None = None,
    ) -> None:
        self.origin = origin
        self.seen = seen  # how many writes that are part of the graph its history includes
        self.depth = depth  # the length of the chain of views
        self.outside, self.lost, self.strides = outside, lost, strides


def refresh(x: Value) -> None:
    """Update the history of a view after recorded writes to its memory."""
    outdated = []
    while x.source is not None and x.source.origin is not None and x.source.seen != x.version.records:
        outdated.append((x, x.source, x.source.origin))
        x = x.source.origin[0]
    for view, source, (parent, function, args) in reversed(outdated):
        source.seen = view.version.records
        if parent._requires_grad and (view.node is not None or not view._requires_grad):
            with enable_grad():
                again = function.apply(parent, *args)
            view.node, view._requires_grad = again.node, True
