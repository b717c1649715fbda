"""Convolutions with long sums, split into parts whose results are added (see cpu's _parts).

A convolution is split by input channels, rows and columns of the kernel, as far as necessary; the gradient of its input
by output channels; that of its weights by images, rows and columns of the result's gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

from stackgrad.tensor import Window
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Pair

from .._channels_last import in_order
from . import LONGEST_ROW, LONGEST_SUM, MOST_PIXELS
from ._image import Image, Images, inside, padding


def of_taps(x: Array, weight: Array, window: Window, groups: int) -> Iterator[tuple[Array, Array, Window]]:
    """Images, weights and windows whose convolutions add up to the whole one."""
    c, kh, kw = weight.shape[1:]
    rows, columns = max(1, min(kh, LONGEST_SUM // kw)), min(kw, LONGEST_SUM)
    channels = max(1, LONGEST_SUM // (rows * columns))
    positions = window.positions((x.shape[2], x.shape[3]))
    if (rows, columns) != (kh, kw):
        x, window = _padded(x, window)
    for channel in range(0, c, channels):
        cut = slice(channel, channel + channels)
        some, of_weight = _of_groups(x, groups, cut), weight[:, cut]
        for row in range(0, kh, rows):
            for column in range(0, kw, columns):
                taps = of_weight[:, :, row : row + rows, column : column + columns]
                part = Window((taps.shape[2], taps.shape[3]), window.stride, window.padding, window.dilation)
                whole = part.kernel == (kh, kw)
                first = (row * part.dilation[0], column * part.dilation[1])
                yield (some if whole else _under(some, first, part, positions)), in_order(taps), part


def of_outputs(g: Array, weight: Array, groups: int) -> Iterator[tuple[Array, Array]]:
    """Parts of the result's gradient and of the weights whose gradients of the input add up to the whole one."""
    o, c, kh, kw = weight.shape
    channels = max(1, LONGEST_SUM // (kh * kw))
    by_group = weight.reshape(groups, o // groups, c, kh, kw)
    for first in range(0, o // groups, channels):
        cut = slice(first, first + channels)
        yield _of_groups(g, groups, cut), in_order(by_group[:, cut]).reshape(-1, c, kh, kw)


def of_pixels(x: Images, g: Images, window: Window) -> Iterator[tuple[Images, Images, Window]]:
    """Images, gradients of the result and windows whose gradients of the weights add up to the whole one."""
    n, _, oh, ow = g.shape
    columns = min(ow, LONGEST_ROW)
    rows = min(oh, MOST_PIXELS // columns)
    images = max(1, MOST_PIXELS // (rows * columns))
    if (rows, columns) == (oh, ow):
        for image in range(0, n, images):
            yield _some(x, image, min(n, image + images)), _some(g, image, min(n, image + images)), window
        return
    within, (padded, bare) = inside(g), _padded(inside(x), window)
    for image in range(0, n, images):
        for row in range(0, oh, rows):
            for column in range(0, ow, columns):
                some = within[image : image + images, :, row : row + rows, column : column + columns]
                first = (row * window.stride[0], column * window.stride[1])
                yield _under(padded[image : image + images], first, bare, (some.shape[2], some.shape[3])), some, bare


def _some(x: Images, first: int, end: int) -> Images:
    return x.some(first, end) if isinstance(x, Image) else x[first:end]


def _padded(x: Array, window: Window) -> tuple[Array, Window]:
    """x (n, c, h, w) padded as the window says, and the window without padding."""
    (n, c, *size), bare = x.shape, Window(window.kernel, window.stride, dilation=window.dilation)
    memory = padding(x, window.padding, 0)(x).memory
    return memory.reshape(n, *window.padded((size[0], size[1])), c).transpose(0, 3, 1, 2), bare


def _of_groups(x: Array, groups: int, cut: slice) -> Array:
    """The channels `cut` of each group of x (n, groups * c, h, w)."""
    n, channels, h, w = x.shape
    if groups == 1:
        return x[:, cut]
    by_group = in_order(x.reshape(n, groups, channels // groups, h, w)[:, :, cut])
    return by_group.reshape(n, -1, h, w)


def _under(x: Array, first: Pair, window: Window, positions: Pair) -> Array:
    """The rows and columns of x that a window covers at `positions` positions, from `first` on."""
    (top, left), (down, right), (height, width) = first, window.stride, window.span
    bottom, end = top + (positions[0] - 1) * down + height, left + (positions[1] - 1) * right + width
    return x[:, :, top:bottom, left:end]
