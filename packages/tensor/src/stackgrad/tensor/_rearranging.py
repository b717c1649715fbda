"""The methods of a tensor that permute its dimensions, split it, or move and repeat its elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np

from ._checks import expect_ints
from ._indexing import Slice, take
from ._ops import Permute, concatenate, expand
from ._reductions import NumPyNames, named_dims, one_dim, takes_axis
from ._shape import extents, normalize_dim, normalize_dims
from ._types import Dims, Shape
from ._value import Value
from ._views import owned, reshape

if TYPE_CHECKING:
    from ._tensor import Tensor


class Rearranging(Value):
    """The results are views unless the docstring says otherwise: a write to a view changes the tensor.

    `axis` means `dim`.
    """

    __slots__ = ()

    def contiguous(self) -> Tensor:
        """Itself if its elements are in C order, else a copy.

        >>> arange(6).reshape(2, 3).T.contiguous().is_contiguous()
        True
        """
        x = cast("Tensor", self)
        return x if self.is_contiguous() else x.clone()

    def is_contiguous(self) -> bool:
        """Whether its elements are in C order, without gaps.

        >>> arange(6).reshape(2, 3).T.is_contiguous()
        False
        """
        return self.backend.is_contiguous(self.data)

    # --- the order of dimensions

    def t(self) -> Tensor:
        """The transpose of a matrix; a view of a tensor of fewer dimensions. Raises ValueError for more.

        >>> ones(2, 3).t().shape
        (3, 2)
        """
        if self.ndim > 2:
            raise ValueError(f"t() of shape {self.shape}: expected two dimensions at most; use transpose or mT")
        return Permute.apply(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The view with the last two dimensions exchanged.

        >>> ones(8, 2, 3).mT.shape
        (8, 3, 2)
        """
        if self.ndim < 2:
            raise ValueError(f"mT of shape {self.shape}: expected two dimensions or more")
        return cast("Tensor", self).transpose(-2, -1)

    def swapaxes(self, axis0: int, axis1: int) -> Tensor:
        """The view with two dimensions exchanged: `transpose`.

        >>> ones(2, 3, 4).swapaxes(0, 2).shape
        (4, 3, 2)
        """
        return cast("Tensor", self).transpose(axis0, axis1)

    swapdims = swapaxes

    def movedim(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """The view with the dimensions `source` moved to `destination`; the others keep their order.

        Raises ValueError for different counts and for dims that occur twice.

        >>> ones(2, 3, 4).movedim(0, -1).shape
        (3, 4, 2)
        """
        given = [list(d) if isinstance(d, Sequence) else [d] for d in (source, destination)]
        sources, targets = ([normalize_dim(d, self.ndim) for d in dims] for dims in given)
        if len(sources) != len(targets) or any(len(set(dims)) != len(dims) for dims in (sources, targets)):
            raise ValueError(f"movedim from {source} to {destination}: expected as many dims, each named once")
        order = [d for d in range(self.ndim) if d not in sources]
        for target, d in sorted(zip(targets, sources, strict=True)):
            order.insert(target, d)
        return Permute.apply(self, tuple(order) if self.ndim else ())

    moveaxis = movedim

    # --- parts

    @takes_axis
    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        """The view of `length` elements along `dim` from `start`. Raises ValueError if there are fewer.

        >>> arange(5).narrow(0, 1, 3)
        tensor([1, 2, 3])
        """
        expect_ints("narrow", start=start, length=length)
        at = self._dim_of("narrow", dim)
        extent, first = self.shape[at], start + self.shape[at] if start < 0 else start
        if length < 0 or not 0 <= first <= extent - length:
            raise ValueError(f"narrow from {start} by {length} along dim {dim} of extent {extent}: out of range")
        return Slice.apply(self, (*[slice(None)] * at, slice(first, first + length)))

    @takes_axis
    def select(self, dim: int, index: int) -> Tensor:
        """The view at `index` along `dim`, without that dimension.

        >>> tensor([[1, 2], [3, 4]]).select(1, 0)
        tensor([1, 3])
        """
        expect_ints("select", index=index)
        return cast("Tensor", self)[(*[slice(None)] * self._dim_of("select", dim), operator.index(index))]

    def split(
        self, split_size: int | Sequence[int], dim: int | None = None, **names: Unpack[NumPyNames]
    ) -> tuple[Tensor, ...]:
        """Views along `dim` (0 if None) of `split_size` each (the last may be smaller), or of the sizes in a sequence.

        Raises ValueError for a size below 0, a `split_size` of 0, and sizes that do not sum to the extent.

        >>> arange(5).split(2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
        """
        dim = one_dim("split", dim, names, 0)
        at = self._dim_of("split", dim)
        extent = self.shape[at]
        if isinstance(split_size, Sequence):
            sizes = list(extents((split_size,)))
            if sum(sizes) != extent or min(sizes, default=0) < 0:
                raise ValueError(
                    f"split into {sizes} along dim {dim}: expected sizes of 0 or more that sum to {extent}"
                )
        else:
            expect_ints("split", split_size=split_size)
            if split_size < 0 or (split_size == 0 and extent):
                raise ValueError(f"split into parts of {split_size} along dim {dim}: expected 1 or more")
            sizes = [min(split_size, extent - start) for start in range(0, extent, split_size or 1)] or [0]
        starts = np.cumsum([0, *sizes]).tolist()
        return tuple([self.narrow(at, start, size) for start, size in zip(starts, sizes, strict=False)])

    def chunk(self, chunks: int, dim: int | None = None, **names: Unpack[NumPyNames]) -> tuple[Tensor, ...]:
        """At most `chunks` views along `dim` (0 if None), of equal size except the last.

        Raises ValueError for `chunks` below 1.

        >>> arange(5).chunk(2)
        (tensor([0, 1, 2]), tensor([3, 4]))
        """
        expect_ints("chunk", chunks=chunks)
        if chunks < 1:
            raise ValueError(f"chunk into {chunks}: expected 1 or more")
        at = self._dim_of("chunk", one_dim("chunk", dim, names, 0))
        extent = self.shape[at]
        return self.split(-(-extent // chunks), at) if extent else tuple([self.narrow(at, 0, 0)] * chunks)

    def unbind(self, dim: int | None = None, **names: Unpack[NumPyNames]) -> tuple[Tensor, ...]:
        """The views at each index along `dim` (0 if None), without that dimension.

        >>> tensor([[1, 2], [3, 4]]).unbind()
        (tensor([1, 2]), tensor([3, 4]))
        """
        dim = one_dim("unbind", dim, names, 0)
        return tuple([self.select(dim, i) for i in range(self.shape[self._dim_of("unbind", dim)])])

    @takes_axis
    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        """The view with `dim` split into dimensions of these sizes, one of which may be -1.

        Raises ValueError unless their product is the extent.

        >>> ones(2, 12).unflatten(1, (3, 4)).shape
        (2, 3, 4)
        """
        at, sizes = self._dim_of("unflatten", dim), extents((sizes,))
        known = -math.prod(sizes)
        missing = self.shape[at] // known if sizes.count(-1) == 1 and known else -1
        found = tuple([missing if size == -1 else size for size in sizes])
        if math.prod(found) != self.shape[at] or min(found, default=0) < 0:
            raise ValueError(f"unflatten of dim {dim} of extent {self.shape[at]} to {sizes}: the product differs")
        return cast("Tensor", self).reshape(*self.shape[:at], *found, *self.shape[at + 1 :])

    def broadcast_to(self, *size: Any) -> Tensor:
        """The view expanded to a shape: `expand`.

        >>> tensor([1, 2]).broadcast_to(2, 2)
        tensor([[1, 2],
                [1, 2]])
        """
        return cast("Tensor", self).expand(*size)

    # --- copies

    def diff(self, n: int = 1, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """The differences of adjacent elements along `dim` (the last if None), taken `n` times.

        >>> tensor([1, 4, 9]).diff()
        tensor([3, 5])
        """
        expect_ints("diff", n=n)
        x, at = cast("Tensor", self), self._dim_of("diff", one_dim("diff", dim, names, -1))
        for _ in range(min(n, x.shape[at])):
            rest = x.shape[at] - 1
            x = x.narrow(at, 1, rest) - x.narrow(at, 0, rest)
        return x.clone() if x is self else x

    def flip(self, *dims: Any, **names: Unpack[NumPyNames]) -> Tensor:
        """A copy flipped along `dims` (or `axis`).

        >>> tensor([1, 2, 3]).flip(0)
        tensor([3, 2, 1])
        """
        given: Dims = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
        if names:
            given = named_dims("flip", given or None, names)
        flipped = normalize_dims(given, self.ndim)
        key = [slice(None, None, -1) if d in flipped else slice(None) for d in range(self.ndim)]
        return cast("Tensor", self)[tuple(key)].clone()

    def fliplr(self) -> Tensor:
        """A copy flipped along dimension 1.

        >>> tensor([[1, 2, 3]]).fliplr()
        tensor([[3, 2, 1]])
        """
        return self.flip(1)

    def flipud(self) -> Tensor:
        """A copy flipped along dimension 0.

        >>> tensor([[1], [2]]).flipud()
        tensor([[2],
                [1]])
        """
        return self.flip(self._dim_of("flipud", 0))

    def roll(self, shifts: int | Sequence[int], dims: Dims = None, **names: Unpack[NumPyNames]) -> Tensor:
        """A copy with elements shifted by `shifts` along `dims` (or `axis`); they wrap around at the end.

        Without `dims` all elements shift in C order. Raises ValueError unless there is one shift for each dim.

        >>> arange(4).roll(1)
        tensor([3, 0, 1, 2])
        """
        x = cast("Tensor", self)
        if names:
            dims = named_dims("roll", dims, names)
        if dims is None:
            return x.reshape(-1).roll(shifts, 0).reshape(x.shape)
        pairs = [list(y) if isinstance(y, Sequence) else [y] for y in (shifts, dims)]
        if len(pairs[0]) != len(pairs[1]):
            raise ValueError(f"roll by {shifts} along dims {dims}: expected a shift for each dim")
        extents((pairs[0],))  # raises unless they are integers
        for shift, dim in zip(*pairs, strict=True):
            at = self._dim_of("roll", dim)
            start = -shift % x.shape[at] if x.shape[at] else 0
            if start:
                x = concatenate([x.narrow(at, start, x.shape[at] - start), x.narrow(at, 0, start)], at)
        return x.clone() if x is self else x

    def repeat(self, *repeats: Any) -> Tensor:
        """A copy with each dimension repeated; more `repeats` than dimensions add leading dimensions. NumPy's tile.

        Raises ValueError for fewer `repeats` than dimensions, and for negative ones.

        >>> tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
        """
        times = _integers(repeats)
        if len(times) < self.ndim or min(times, default=0) < 0:
            raise ValueError(f"repeat {times} of shape {self.shape}: expected {self.ndim} or more, of 0 or more each")
        old = (1,) * (len(times) - self.ndim) + self.shape
        pairs = [extent for pair in zip((1,) * len(old), old, strict=True) for extent in pair]
        wanted = [extent for pair in zip(times, old, strict=True) for extent in pair]
        spread = expand(reshape(cast("Tensor", self), tuple(pairs)), tuple(wanted)).clone()
        return owned(reshape(spread, tuple([n * extent for n, extent in zip(times, old, strict=True)])))

    def tile(self, *dims: Any) -> Tensor:
        """As `repeat`, but missing leading `dims` count as 1.

        >>> tensor([1, 2]).tile(2)
        tensor([1, 2, 1, 2])
        """
        times = _integers(dims)
        return self.repeat((1,) * (self.ndim - len(times)) + times)

    def repeat_interleave(self, repeats: int | Tensor, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """A copy with each element along `dim`, or in C order without `dim`, repeated `repeats` times in a row.

        `repeats` is an int, or an int64 tensor with one count per element, which a captured function cannot read.
        Raises ValueError for a negative int.

        >>> tensor([1, 2]).repeat_interleave(2)
        tensor([1, 1, 2, 2])
        """
        x = cast("Tensor", self)
        if names:
            dim = cast("int | None", named_dims("repeat_interleave", dim, names))
        if dim is None:
            return x.reshape(-1).repeat_interleave(repeats, 0)
        at = self._dim_of("repeat_interleave", dim)
        if isinstance(repeats, Value):
            counts = repeats.read("repeat_interleave by a tensor")
            index = np.repeat(np.arange(x.shape[at]), counts.reshape(-1))
            return take(x, (slice(None),) * x.ndim, {at: x.new(x.backend.from_numpy(index))})
        expect_ints("repeat_interleave", repeats=repeats)
        if repeats < 0:
            raise ValueError(f"repeat_interleave {repeats}: expected 0 or more")
        before, behind = x.shape[: at + 1], x.shape[at + 1 :]
        spread = expand(reshape(x, (*before, 1, *behind)), (*before, repeats, *behind)).clone()
        return owned(reshape(spread, (*x.shape[:at], x.shape[at] * repeats, *behind)))

    def _dim_of(self, what: str, dim: int) -> int:
        """The normalised `dim`. Raises IndexError for a tensor without dimensions."""
        if not self.ndim:
            raise IndexError(f"{what} of a tensor without dimensions: expected one or more")
        return normalize_dim(dim, self.ndim)


def _integers(given: tuple[Any, ...]) -> Shape:
    found = given[0] if len(given) == 1 and isinstance(given[0], Sequence) else given
    try:
        return tuple([operator.index(n) for n in found])
    except TypeError:
        raise TypeError(f"got {found!r}: expected integers") from None
