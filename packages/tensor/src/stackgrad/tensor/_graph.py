"""A picture of the graph that a tensor was computed by."""

from __future__ import annotations

from ._autograd import Edge, Node
from ._errors import not_a_tensor
from ._value import Value

_CHAR, _HEIGHT, _PADDING = 7.5, 30, 14  # pixels: a character's width, a box's height, the space beside its text
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;"})
_COLUMN, _ROW = 40, 18  # between two columns and two rows


class Graph:
    """A picture of a graph, in SVG: `str` returns the source, and a notebook shows the picture."""

    def __init__(self, svg: str) -> None:
        self._svg = svg

    def __repr__(self) -> str:
        return f"Graph({len(self._svg)} characters of SVG)"

    def __str__(self) -> str:
        return self._svg

    def _repr_svg_(self) -> str:
        return self._svg


class Graphed(Value):
    """The method of a tensor that draws its graph."""

    __slots__ = ()

    def graph(self, **names: Value) -> Graph:
        """A picture of the recorded operations, from the leaves on the left to this tensor on the right.

        It shows the operations that a gradient would flow through: others are not recorded. `backward` frees the graph,
        so draw it before, or pass `retain_graph`.

        Args:
            names: labels of tensors in the picture: `loss.graph(w=w, b=b)`. Other leaves show their shape.

        Raises:
            TypeError: what is named is not a tensor.
            RuntimeError: the tensor does not require a gradient, or its graph was freed.

        >>> x = tensor([1.0, 2.0], requires_grad=True)
        >>> str((x * x).sum().graph(x=x))[:4]
        '<svg'
        """
        if not self.requires_grad:
            raise RuntimeError("graph of a tensor that does not require a gradient: nothing was recorded")
        for name, x in names.items():
            if not isinstance(x, Value):
                raise not_a_tensor(f"graph: {name}", x)
        root: Edge = self.node or self
        if isinstance(root, Node) and root.freed:
            raise RuntimeError("graph of a tensor whose graph backward has freed: draw it before, or retain_graph=True")
        given = {id(x.node or x): name for name, x in names.items()}
        return Graph(_svg(*_laid_out(root), given))


def _sources(edge: Edge) -> list[Edge]:
    """The edges of the node, or none for a leaf."""
    return [] if isinstance(edge, Value) else [source for source in edge.edges if source is not None]


def _laid_out(root: Edge) -> tuple[list[list[Edge]], dict[int, int]]:
    """The columns of the picture, each from top to bottom, and the column of each node by its id.

    The column is the length of the longest path from a leaf (the layers of K. Sugiyama et al., "Methods for visual
    understanding of hierarchical system structures", 1981); within it, nodes are sorted by the mean height of their
    sources.
    """
    order: list[Edge] = []
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        edge, is_done = stack.pop()
        if is_done:
            order.append(edge)
        elif id(edge) not in seen:
            seen.add(id(edge))
            stack.append((edge, True))
            stack.extend((source, False) for source in reversed(_sources(edge)))
    column: dict[int, int] = {}
    for edge in order:
        column[id(edge)] = 1 + max((column[id(source)] for source in _sources(edge)), default=-1)
    first_use: dict[int, int] = {}
    for edge in order:
        for source in _sources(edge):
            first_use[id(source)] = min(first_use.get(id(source), len(order)), column[id(edge)])
    for edge in order:  # a leaf is placed right before its first use
        if not _sources(edge) and edge is not root:
            column[id(edge)] = first_use[id(edge)] - 1
    columns: list[list[Edge]] = [[] for _ in range(max(column.values()) + 1)]
    for edge in order:
        columns[column[id(edge)]].append(edge)
    height: dict[int, float] = {}
    for edges in columns:
        heights = [[height[id(source)] for source in _sources(edge)] or [row] for row, edge in enumerate(edges)]
        means = {id(edge): sum(found) / len(found) for edge, found in zip(edges, heights, strict=True)}
        edges.sort(key=lambda edge: means[id(edge)])
        height |= {id(edge): row for row, edge in enumerate(edges)}
    return columns, column


def _svg(columns: list[list[Edge]], column: dict[int, int], names: dict[int, str]) -> str:
    label = {id(edge): _label(edge, names) for edges in columns for edge in edges}
    widths = [max(len(label[id(edge)]) for edge in edges) * _CHAR + 2 * _PADDING for edges in columns]
    left = [sum(widths[:i]) + i * _COLUMN + 1 for i in range(len(columns))]
    tallest = max(map(len, columns)) * (_HEIGHT + _ROW)
    middle: dict[int, float] = {}
    for edges in columns:
        begin = (tallest - len(edges) * (_HEIGHT + _ROW)) / 2
        middle |= {id(edge): begin + (i + 0.5) * (_HEIGHT + _ROW) for i, edge in enumerate(edges)}
    lines, boxes = [], []
    for edges in columns:
        for edge in edges:
            at, y = column[id(edge)], middle[id(edge)]
            for source in _sources(edge):
                start = left[column[id(source)]] + widths[column[id(source)]]
                bend = (start + left[at]) / 2
                lines.append(
                    f'<path d="M{start:g} {middle[id(source)]:g}C{bend:g} {middle[id(source)]:g} {bend:g} {y:g} '
                    f'{left[at]:g} {y:g}"/>'
                )
            round_, fill = (_HEIGHT / 2, "#e8f0fe") if isinstance(edge, Value) else (4, "#fff")
            boxes.append(
                f'<rect x="{left[at]:g}" y="{y - _HEIGHT / 2:g}" width="{widths[at]:g}" height="{_HEIGHT}" '
                f'rx="{round_:g}" fill="{fill}"/><text x="{left[at] + widths[at] / 2:g}" y="{y + 4:g}" stroke="none" '
                f'fill="#222">{label[id(edge)].translate(_ESCAPED)}</text>'
            )
    width = left[-1] + widths[-1] + 1
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {tallest:g}" width="{width:g}" '
        f'height="{tallest:g}" fill="none" stroke="#678" font-family="sans-serif" font-size="13" '
        f'text-anchor="middle">{"".join(lines)}{"".join(boxes)}</svg>\n'
    )


def _label(edge: Edge, names: dict[int, str]) -> str:
    name = names.get(id(edge), "")
    if isinstance(edge, Value):
        return f"{name} {edge.shape}".strip()
    return f"{edge.name}: {name}" if name else edge.name
