"""PyTorch's products for particular shapes: dot, outer, mm, bmm and the like, all computed by `matmul`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from . import _matmul
from ._checks import expect_numbers
from ._errors import not_a_tensor
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Products(Value):
    """Each method raises ValueError for other shapes. Mixed dtypes are promoted."""

    __slots__ = ()

    def dot(self, other: Tensor) -> Tensor:
        """The sum of products of (n,) and (n,).

        >>> tensor([1, 2]).dot(tensor([3, 4]))
        tensor(11)
        """
        return _product("dot", (self, 1), (other, 1))

    vdot = dot

    def mv(self, vec: Tensor) -> Tensor:
        """(n, m) times (m,): (n,).

        >>> tensor([[1, 2], [3, 4]]).mv(tensor([1, 1]))
        tensor([3, 7])
        """
        return _product("mv", (self, 2), (vec, 1))

    def mm(self, mat2: Tensor) -> Tensor:
        """(n, k) times (k, m): (n, m).

        >>> ones(2, 3).mm(ones(3, 4)).shape
        (2, 4)
        """
        return _product("mm", (self, 2), (mat2, 2))

    def bmm(self, mat2: Tensor) -> Tensor:
        """(b, n, k) times (b, k, m): (b, n, m).

        >>> ones(8, 2, 3).bmm(ones(8, 3, 4)).shape
        (8, 2, 4)
        """
        out = _product("bmm", (self, 3), (mat2, 3))
        if self.shape[0] != mat2.shape[0]:
            raise ValueError(f"bmm of shapes {self.shape} and {mat2.shape}: expected as many matrices")
        return out

    def outer(self, vec2: Tensor) -> Tensor:
        """The products (n, m) of each element of (n,) with each of (m,).

        >>> tensor([1, 2]).outer(tensor([10, 20]))
        tensor([[10, 20],
                [20, 40]])
        """
        _expect("outer", (self, 1), (vec2, 1))
        return cast("Tensor", self).unsqueeze(1) * vec2

    ger = outer

    def inner(self, other: Tensor) -> Tensor:
        """The sum of products over the last dimension of both: (..., n) and (***, n) give (..., ***).

        >>> tensor([1, 2]).inner(tensor([3, 4]))
        tensor(11)
        """
        if not isinstance(other, Value):
            raise not_a_tensor("inner", other)
        x = cast("Tensor", self)
        if not x.ndim or not other.ndim:
            return x * other
        out = _matmul.matmul(x.reshape(-1, x.shape[-1]), other.reshape(-1, other.shape[-1]).T)
        return out.reshape(*x.shape[:-1], *other.shape[:-1])

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """`beta` times this plus `alpha` times the product of (n, k) and (k, m), with which it broadcasts.

        >>> tensor([1.0]).addmm(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]]), beta=10)
        tensor([[21.]])
        """
        return _sum("addmm", self, _product("addmm", (mat1, 2), (mat2, 2)), beta, alpha)

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """`beta` times this plus `alpha` times the product of (b, n, k) and (b, k, m), with which it broadcasts.

        >>> tensor([1.0]).baddbmm(ones(2, 1, 3), ones(2, 3, 1)).tolist()
        [[[4.0]], [[4.0]]]
        """
        return _sum("baddbmm", self, _product("baddbmm", (batch1, 3), (batch2, 3)), beta, alpha)


def _sum(what: str, x: Value, product: Tensor, beta: float, alpha: float) -> Tensor:
    expect_numbers(what, beta=beta, alpha=alpha)
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:  # NaN in x must not pass
        return scaled + cast("Tensor", x).new(x.backend.full(x.shape, 0, x.dtype))
    return (cast("Tensor", x) if beta == 1 else cast("Tensor", x) * beta) + scaled


def _product(what: str, a: tuple[Value, int], b: tuple[Value, int]) -> Tensor:
    _expect(what, a, b)
    return _matmul.matmul(cast("Tensor", a[0]), cast("Tensor", b[0]))


def _expect(what: str, a: tuple[Value, int], b: tuple[Value, int]) -> None:
    for x, _ in (a, b):
        if not isinstance(x, Value):
            raise not_a_tensor(what, x)
    if any(x.ndim != ndim for x, ndim in (a, b)):
        expected = f"{a[1]} and {b[1]} dimensions"
        raise ValueError(f"{what} of shapes {a[0].shape} and {b[0].shape}: expected {expected}; use matmul")
