"""The window that convolution and pooling slide over an image, and the forms in which it may be given."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._types import Extents, Padding, Pair, Shape, Sides

NO_PADDING: Sides = ((0, 0), (0, 0))


def is_integer(value: object) -> bool:
    """Whether `value` is an int, Python's or NumPy's, and not a bool."""
    return type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool))


def image_size(shape: Shape) -> Pair:
    """The height and width of an image (n, c, h, w), or of a sequence (n, c, w) as an image of height 1."""
    height, width = (1, *shape[2:])[-2:]
    return height, width


def one_per_dim(name: str, value: Extents, dims: int, least: int = 1) -> Shape:
    """One int for each dimension, from one for all or from a list or tuple of `dims`.

    Raises ValueError for anything else, and for an int below `least`.
    """
    each = tuple(value) if isinstance(value, list | tuple) else (value,) * dims
    if len(each) != dims or not all(is_integer(n) and n >= least for n in each):
        raise ValueError(
            f"{name} must be an int or {dims} of them (one per dimension), at least {least}; got {value!r}"
        )
    return tuple(int(n) for n in each)


def _sides(padding: Padding, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[Pair, ...]:
    """(before, after) for each dimension. Raises ValueError for another form, a negative int, "same" with a stride."""
    dims = len(kernel)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'padding by name must be "same" or "valid"; got {padding!r}')
        if padding == "same" and stride != (1,) * dims:
            raise ValueError(f'padding "same" needs stride 1; got stride {stride}')
        totals = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    each: Sequence[Any] = padding if isinstance(padding, list | tuple) else (padding,) * dims
    pairs = [tuple(p) if isinstance(p, list | tuple) else (p, p) for p in each]
    if len(pairs) != dims or any(len(p) != 2 or not all(is_integer(n) and n >= 0 for n in p) for p in pairs):
        raise ValueError(
            f'padding must be an int, {dims} of them (one per dimension), {dims} (before, after) pairs, "same" or '
            f'"valid", none negative; got {padding!r}'
        )
    return tuple((int(before), int(after)) for before, after in pairs)


class _Window(NamedTuple):
    kernel: Pair
    stride: Pair
    padding: Sides
    dilation: Pair


class Window(_Window):
    """A window that slides over the rows and columns of an image.

    Each field has one entry for the rows and one for the columns; `padding` holds (before, after) for each. It is made
    from any form of `types.Extents` and `types.Padding`. With `dims=1` they are those of a sequence, which is an image
    of height 1. Raises ValueError for another form, and for values out of range.

    >>> Window(3, stride=2, padding="valid")
    Window(kernel=(3, 3), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    """

    __slots__ = ()

    def __new__(
        cls, kernel: Extents, stride: Extents = 1, padding: Padding = 0, dilation: Extents = 1, dims: int = 2
    ) -> Window:
        if not is_integer(dims):
            raise TypeError(f"Window: dims must be an int; got {type(dims).__name__}")
        sizes = [
            one_per_dim(name, value, dims)
            for name, value in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation))
        ]
        sides = _sides(padding, *sizes)
        kernels, strides, dilations = [(1, *size)[-2:] for size in sizes]
        return super().__new__(cls, kernels, strides, ((0, 0), *sides)[-2:], dilations)  # type: ignore[arg-type]

    @property
    def span(self) -> Pair:
        """The height and width of the window with its dilation.

        >>> Window(3, dilation=2).span
        (5, 5)
        """
        return (self.kernel[0] - 1) * self.dilation[0] + 1, (self.kernel[1] - 1) * self.dilation[1] + 1

    def of_last(self, dims: int) -> tuple[Shape, Shape, tuple[Pair, ...], Shape]:
        """The fields, with the entries of the last `dims` dimensions only.

        >>> Window(3, padding=1, dims=1).of_last(1)
        ((3,), (1,), ((1, 1),), (1,))
        """
        if not is_integer(dims):
            raise TypeError(f"Window.of_last: dims must be an int; got {type(dims).__name__}")
        return self.kernel[-dims:], self.stride[-dims:], self.padding[-dims:], self.dilation[-dims:]

    def padded(self, size: Pair) -> Pair:
        """The height and width of an image of `size` with the padding.

        >>> Window(3, padding=1).padded((7, 9))
        (9, 11)
        """
        try:
            height, width = size
            return height + sum(self.padding[0]), width + sum(self.padding[1])
        except (TypeError, ValueError):
            raise TypeError(f"a window slides over an image of (height, width), two ints; got {size!r}") from None

    def positions(self, size: Pair) -> Pair:
        """The count of window positions on an image of `size`, in rows and columns. A ragged edge is dropped.

        Raises ValueError if the window is larger than the padded image.

        >>> Window(3, stride=2).positions((7, 9))
        (3, 4)
        """
        padded, span = self.padded(size), self.span
        if padded[0] < span[0] or padded[1] < span[1]:
            raise ValueError(
                f"kernel {self.kernel} with dilation {self.dilation} spans {span[0]}x{span[1]}, "
                f"more than the image of {size[0]}x{size[1]} with padding {self.padding}"
            )
        return (padded[0] - span[0]) // self.stride[0] + 1, (padded[1] - span[1]) // self.stride[1] + 1
