"""The drawings of the guides: `python -m tools.pictures` writes docs/pictures/*.svg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stackgrad import nn
from stackgrad.mnist import LeNet5
from stackgrad.tensor import Tensor, tensor, zeros

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"

LINE, PAPER, LEAF, MARK, STRONG = "#678", "#fff", "#e8f0fe", "#fde9c8", "#f0a830"


def box(x: float, y: float, width: float, height: float, fill: str = PAPER, extra: str = "") -> str:
    """A rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"{extra}/>'


def text(x: float, y: float, words: str, extra: str = "") -> str:
    """Words around x, their base line at y."""
    return f'<text x="{x:g}" y="{y:g}" stroke="none" fill="#222"{extra}>{words}</text>'


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """A line with a head at its end."""
    return f'<path d="M{x:g} {y:g}L{to_x:g} {to_y:g}" marker-end="url(#head)"/>'


def svg(width: float, height: float, parts: list[str]) -> str:
    """A picture of that size."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{LINE}" stroke="none"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" fill="none" stroke="{LINE}" font-family="sans-serif" font-size="13" '
        f'text-anchor="middle">{head}{"".join(parts)}</svg>\n'
    )


def graph() -> str:
    """The graph of docs/autograd.md."""
    w, b = tensor([3.0, 1.0], requires_grad=True), tensor(-1.0, requires_grad=True)
    s = w * tensor([2.0, 4.0]) + b
    return str((s * s).sum().graph(w=w, b=b, s=s))


def lenet() -> str:
    """The shapes of an image on its way through LeNet, as the layers give them."""
    model = LeNet5()
    shapes: list[tuple[str, tuple[int, ...]]] = [("", (1, 28, 28))]
    for _, layer in model.named_modules():
        if not list(layer.children()):

            def note(layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
                shapes.append((type(layer).__name__, out.shape[1:]))

            layer.register_forward_hook(note)
    model(zeros(1, 1, 28, 28))
    parts, x, middle = [], 12.0, 95.0
    for name, shape in shapes:
        if name == "Flatten":
            continue  # the next layer is drawn beside what it flattens
        if name:
            parts += [arrow(x, middle, x + 74, middle), text(x + 36, middle - 8, name, ' font-size="12"')]
            x += 79
        if len(shape) == 3:
            channels, side = shape[0], 2.4 * shape[1]
            shown = min(channels, 6)
            top = middle - side / 2 - 1.5 * (shown - 1)
            parts += [box(x + 3 * i, top + 3 * i, side, side, LEAF) for i in range(shown)]
            width = side + 3 * (shown - 1)
            label = f"{channels} × {shape[1]} × {shape[2]}"
        else:
            width, tall = 12.0, 0.36 * shape[0] + 8
            parts.append(box(x, middle - tall / 2, width, tall, MARK))
            label = str(shape[0])
        parts.append(text(x + max(width, 24) / 2, 176, label))
        x += width + 6
    return svg(x + 8, 190, parts)


def tile() -> str:
    """Where a tile of 6 pixels by 2 registers of 8 channels is on its way over an image."""
    cell, rows, columns, pixels, lanes, vectors, kernel = 15, 7, 18, 6, 8, 2, 3
    first_row, first_column, tap_row, tap_column = 2, 3, 1, 2
    left, top, parts = 12.0, 46.0, [text(147, 24, "the image, one input channel")]
    for row in range(rows):
        for column in range(columns):
            read = first_row <= row < first_row + kernel and first_column <= column < first_column + pixels + kernel - 1
            now = row == first_row + tap_row and 0 <= column - first_column - tap_column < pixels
            parts.append(
                box(left + column * cell, top + row * cell, cell, cell, STRONG if now else MARK if read else PAPER)
            )
    beyond = left + (first_column + pixels) * cell
    dashed = ' stroke-dasharray="4 3" stroke-width="1.6"'
    parts.append(box(beyond, top + first_row * cell, (pixels + kernel - 1) * cell, kernel * cell, "none", dashed))
    parts.append(text(147, 172, "next position: 6 pixels to the right", ' font-size="12"'))
    right, weights = 340.0, 60.0
    parts.append(text(right + vectors * lanes * cell / 2, 24, "the weights of one tap, 16 output channels"))
    parts += [box(right + i * cell, weights - 22, cell, cell, LEAF) for i in range(vectors * lanes)]
    for pixel in range(pixels):
        y = weights + 14 + pixel * cell
        parts.append(box(right - 26, y, cell, cell, STRONG))
        parts += [box(right + i * cell, y, cell, cell) for i in range(vectors * lanes)]
    split = right + lanes * cell
    parts.append(f'<path d="M{split:g} {weights - 26:g}V{weights + 18 + pixels * cell:g}" stroke-width="2.4"/>')
    parts.append(text(right + vectors * lanes * cell / 2, 190, "12 registers of sums += pixel × weight"))
    return svg(600, 202, parts)


def shares(chunks: int, threads: int) -> Iterator[int]:
    """How many chunks are taken at a time, by whoever is next: half of a thread's even share of what is left."""
    while chunks:
        share = max(1, chunks // (2 * threads))
        yield share
        chunks -= share


def team() -> str:
    """Two threads that share 32 chunks; the second wakes while the first is at its first part."""
    cell, chunks, left = 17, 32, 92.0
    free = [0.0, 5.0]  # when each thread looks for work next, in chunks' times
    parts = [text(44, 34, "caller"), text(44, 68, "helper"), text(left + 2.5 * cell, 68, "wakes", ' font-size="12"')]
    first = 0
    for share in shares(chunks, 2):
        thread = free.index(min(free))
        for i in range(share):
            parts.append(box(left + (free[thread] + i) * cell, 18 + 34 * thread, cell, 24, MARK if thread else LEAF))
            words = text(left + (free[thread] + i + 0.5) * cell, 34 + 34 * thread, str(first + i), ' font-size="10"')
            parts.append(words)
        parts.append(box(left + free[thread] * cell, 18 + 34 * thread, share * cell, 24, "none", ' stroke-width="2"'))
        free[thread] += share
        first += share
    width = left + max(free) * cell + 14
    parts.append(arrow(left, 98, width - 8, 98))
    parts.append(text(left + 20, 116, "time", ' font-size="12"'))
    return svg(width, 124, parts)


PICTURES: dict[str, Callable[[], str]] = {"graph": graph, "lenet": lenet, "tile": tile, "team": team}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")
