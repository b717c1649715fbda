"""Functions that create patterns: the identity, evenly spaced values, indices of grids and triangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from ._checks import expect_ints, expect_numbers
from ._create import of_values
from ._device import on
from ._dtypes import as_dtype, bool_, float32, int64
from ._errors import not_a_tensor
from ._ops import expand
from ._shape import checked
from ._types import Device
from ._value import Value
from ._views import reshape

if TYPE_CHECKING:
    from ._tensor import Tensor


def eye(
    n: int,
    m: int | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """(n, m), or (n, n): 1 on the diagonal and 0 elsewhere, float32 unless `dtype` is given.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    backend = on(backend, device)
    shape = checked((n, n if m is None else m))
    return of_values(np.eye(*shape, dtype=bool_), as_dtype(dtype or float32), requires_grad, backend)


def linspace(
    start: float,
    end: float,
    steps: int,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """`steps` evenly spaced values from `start` to `end`, inclusive; float32 unless `dtype` is given.

    Raises ValueError for fewer than 0 steps.

    >>> linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    backend = on(backend, device)
    (steps,) = checked((steps,))
    expect_numbers("linspace", start=start, end=end)
    return of_values(np.linspace(start, end, steps), as_dtype(dtype or float32), requires_grad, backend)


def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """`base` to the power of each value of `linspace(start, end, steps)`.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    backend = on(backend, device)
    (steps,) = checked((steps,))
    expect_numbers("logspace", start=start, end=end, base=base)
    return of_values(np.logspace(start, end, steps, base=base), as_dtype(dtype or float32), requires_grad, backend)


def tril_indices(row: int, col: int, offset: int = 0, backend: Device = None, device: Device = None) -> Tensor:
    """The int64 indices (2, n), rows and columns, of the elements that `tril` keeps, in C order.

    >>> tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    backend = on(backend, device)
    expect_ints("tril_indices", row=row, col=col, offset=offset)
    return of_values(np.array(np.tril_indices(row, offset, col)), int64, False, backend)


def triu_indices(row: int, col: int, offset: int = 0, backend: Device = None, device: Device = None) -> Tensor:
    """The int64 indices (2, n), rows and columns, of the elements that `triu` keeps, in C order.

    >>> triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    backend = on(backend, device)
    expect_ints("triu_indices", row=row, col=col, offset=offset)
    return of_values(np.array(np.triu_indices(row, offset, col)), int64, False, backend)


def meshgrid(*tensors: Tensor | Sequence[Tensor], indexing: str = "ij") -> tuple[Tensor, ...]:
    """Views of one shape of tensors with at most one dimension, each expanded along its own dimension.

    With `indexing` "xy" the first two dimensions are exchanged, as in NumPy. Raises ValueError for another `indexing`
    and for tensors of more dimensions.

    >>> [x.tolist() for x in meshgrid(arange(2), arange(3))]
    [[[0, 0, 0], [1, 1, 1]], [[0, 1, 2], [0, 1, 2]]]
    """
    given: Sequence[Tensor] = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors  # type: ignore[assignment]
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid with indexing {indexing!r}: expected 'ij' or 'xy'")
    for x in given:
        if not isinstance(x, Value):
            raise not_a_tensor("meshgrid", x, "tensors")
        if x.ndim > 1:
            raise ValueError(f"meshgrid of a tensor of shape {x.shape}: expected one dimension at most")
    order = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        order[:2] = 1, 0
    extents = [given[i].numel() for i in order]
    lines = [reshape(x, tuple(x.numel() if j == i else 1 for j in order)) for i, x in enumerate(given)]
    return tuple([expand(line, tuple(extents)) for line in lines])


__all__: list[str] = ["eye", "linspace", "logspace", "meshgrid", "tril_indices", "triu_indices"]
