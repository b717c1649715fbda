"""Sums of products by an equation of labels, two operands at a time; pairwise distances of rows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ._errors import not_a_tensor
from ._matmul import matmul
from ._ops import Permute, common_backend, expand
from ._shape import broadcast_shapes, normalize_dim
from ._value import Value
from ._views import reshape

if TYPE_CHECKING:
    from ._tensor import Tensor

Labels = tuple[str, ...]  # of dimensions: a letter, or "...3" for the third dimension from the right within ...


def einsum(equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor:
    """The sum of products described by an equation: einsum("bij,bjk->bik", x, y).

    Letters label the dimensions of each operand in order; `...` stands for dimensions that broadcast. Labels that are
    not in the result are summed; a label twice in one operand takes its diagonal. Without `->`, the result has the
    labels that occur once, in alphabetical order. More than two operands are multiplied from left to right, or in the
    order that opt_einsum finds if it is installed. Raises ValueError for an equation that does not match the operands.

    >>> einsum("ij,jk->ik", ones(2, 3), ones(3, 4)).shape
    (2, 4)
    """
    given: Sequence[Tensor] = operands[0] if len(operands) == 1 and isinstance(operands[0], Sequence) else operands  # type: ignore[assignment]
    if not given:
        raise ValueError("einsum of no tensors: expected one or more")
    for x in given:
        if not isinstance(x, Value):
            raise not_a_tensor("einsum", x)
    common_backend("einsum", *given)
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation must be text, as 'ij,jk->ik'; got {type(equation).__name__}")
    inputs, output = _parse(equation, [x.ndim for x in given])
    terms = [_diagonal(equation, _Term(labels, x)) for labels, x in zip(inputs, given, strict=True)]
    extents: dict[str, int] = {}
    for term in terms:
        for label, extent in zip(term.labels, term.x.shape, strict=True):
            if extents.setdefault(label, extent) == 1:
                extents[label] = extent
            elif extent not in (1, extents[label]):
                raise ValueError(f"einsum {equation!r}: {label!r} has extents {extents[label]} and {extent}")
    for chosen in _path(terms, output):
        parts = [terms.pop(i) for i in sorted(chosen, reverse=True)][::-1]
        while len(parts) > 1:
            later = {label for term in (*parts[2:], *terms) for label in term.labels}
            parts[:2] = [_product(parts[0], parts[1], later.union(output))]
        terms += parts
    labels, x = _summed(terms[0], set(output))
    return Permute.apply(x, tuple([labels.index(label) for label in output]))


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """The sum of products over the last `dims` dimensions of `a` and the first of `b`, or over two lists of dims.

    Raises ValueError for more dims than there are, and for extents that differ.

    >>> tensordot(ones(2, 3, 4), ones(3, 4, 5)).shape
    (2, 5)
    """
    common_backend("tensordot", a, b)
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot over {dims} dims of shapes {a.shape} and {b.shape}: they have too few")
        dims = range(a.ndim - dims, a.ndim), range(dims)
    if not isinstance(dims, Sequence) or len(dims) != 2 or not all(isinstance(found, Sequence) for found in dims):
        raise TypeError(f"tensordot over {dims!r}: expected an int, or two lists of dims")
    left, right = ([normalize_dim(d, x.ndim) for d in found] for found, x in zip(dims, (a, b), strict=True))
    if [a.shape[d] for d in left] != [b.shape[d] for d in right]:
        raise ValueError(f"tensordot over {left} of {a.shape} and {right} of {b.shape}: expected equal extents")
    of_b = {d: f"a{e}" for d, e in zip(right, left, strict=True)}
    first = _Term(tuple(f"a{d}" for d in range(a.ndim)), a)
    second = _Term(tuple(of_b.get(d, f"b{d}") for d in range(b.ndim)), b)
    output = [*(n for n in first.labels if n not in of_b.values()), *(n for n in second.labels if n[0] == "b")]
    labels, x = _product(first, second, set(output))
    return Permute.apply(x, tuple([labels.index(label) for label in output]))


class _Term(NamedTuple):
    """An operand, and the labels of its dimensions."""

    labels: Labels
    x: Tensor


def _parse(equation: str, ndims: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of the operands, and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    form = re.compile(r"[a-zA-Z]*(\.\.\.)?[a-zA-Z]*")
    if not all(form.fullmatch(part) for part in (*inputs, right)) or len(inputs) != len(ndims):
        raise ValueError(
            f"einsum {equation!r} of {len(ndims)} tensors: expected letters and ... for each, as 'ij,jk->ik'"
        )
    found, most = [], 0
    for part, ndim in zip(inputs, ndims, strict=True):
        letters = len(part.replace("...", ""))
        if letters > ndim or (letters < ndim and "..." not in part):
            raise ValueError(f"einsum {equation!r}: {part!r} labels a tensor of {ndim} dimensions")
        found.append(_spelled(part, ndim - letters))
        most = max(most, ndim - letters)
    if arrow:
        output = _spelled(right, most)
        unknown = set(output) - {label for labels in found for label in labels}
        if unknown or len(set(output)) != len(output):
            raise ValueError(f"einsum {equation!r}: the result {right!r} has labels that no tensor has, or one twice")
        return found, output
    counts = Counter("".join(inputs).replace(".", ""))
    once = sorted(label for label, count in counts.items() if count == 1)
    return found, (*_spelled("...", most), *once)


def _spelled(part: str, count: int) -> Labels:
    """The labels of a part of an equation in which ... stands for `count` dimensions."""
    before, dots, behind = part.partition("...")
    return (*before, *(f"...{i}" for i in range(count, 0, -1) if dots), *behind)


def _diagonal(equation: str, term: _Term) -> _Term:
    """The term with each label once."""
    labels, x = term
    while len(set(labels)) < len(labels):
        label = next(n for n in labels if labels.count(n) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        if x.shape[first] != x.shape[second]:
            raise ValueError(f"einsum {equation!r}: {label!r} has extents {x.shape[first]} and {x.shape[second]}")
        x = x.diagonal(0, first, second)
        labels = (*(n for i, n in enumerate(labels) if i not in (first, second)), label)
    return _Term(labels, x)


def _path(terms: Sequence[_Term], output: Labels) -> list[tuple[int, ...]]:
    """The indices of the terms to multiply, step by step; each product is appended to the remaining terms."""
    count = len(terms)
    if count > 2:
        try:
            from opt_einsum import contract_path, get_symbol
        except ImportError:
            pass
        else:
            names: dict[str, str] = {}
            for term in terms:
                for label in term.labels:
                    names.setdefault(label, get_symbol(len(names)))
            spelled = ["".join([names[label] for label in labels]) for labels in (*(t.labels for t in terms), output)]
            equation = f"{','.join(spelled[:-1])}->{spelled[-1]}"
            return list(contract_path(equation, *[term.x.shape for term in terms], shapes=True)[0])
    return [(0, 1), *[(0, left) for left in range(count - 2, 0, -1)]] if count > 1 else []


def _summed(term: _Term, needed: set[str]) -> _Term:
    """The term summed over the labels that are not needed."""
    labels, x = term
    dims = tuple([i for i, label in enumerate(labels) if label not in needed])
    return _Term(tuple([n for n in labels if n in needed]), x.sum(dims).astype(x.dtype)) if dims else term


def _product(a: _Term, b: _Term, needed: set[str]) -> _Term:
    """The product of two terms, summed over the labels that they share and that are not needed."""
    a, b = _summed(a, {*needed, *b.labels}), _summed(b, {*needed, *a.labels})
    batch = tuple([n for n in a.labels if n in b.labels and n in needed])
    inner = tuple([n for n in a.labels if n in b.labels and n not in needed])
    rows = tuple([n for n in a.labels if n not in b.labels])
    columns = tuple([n for n in b.labels if n not in a.labels])
    shared = batch + inner
    shapes = [tuple([term.x.shape[term.labels.index(n)] for n in shared]) for term in (a, b)]
    whole = broadcast_shapes(*shapes)
    of_batch, of_inner = whole[: len(batch)], whole[len(batch) :]
    left = _ordered(a, (*batch, *rows, *inner))
    right = _ordered(b, (*batch, *inner, *columns))
    of_rows = left.shape[len(batch) : len(batch) + len(rows)]
    of_columns = right.shape[len(shared) :]
    labels, shape = (*batch, *rows, *columns), (*of_batch, *of_rows, *of_columns)
    if not inner:
        left = reshape(left, (*left.shape, *[1] * len(columns)))
        right = reshape(right, (*right.shape[: len(batch)], *[1] * len(rows), *of_columns))
        return _Term(labels, left * right)
    left, right = expand(left, (*of_batch, *of_rows, *of_inner)), expand(right, (*of_batch, *of_inner, *of_columns))
    lead = (math.prod(of_batch),) if batch else ()
    left = reshape(left, (*lead, math.prod(of_rows), math.prod(of_inner)))
    right = reshape(right, (*lead, math.prod(of_inner), math.prod(of_columns)))
    return _Term(labels, reshape(matmul(left, right), shape))


def _ordered(term: _Term, labels: Labels) -> Tensor:
    """The operand with its dimensions in the order of `labels`."""
    order = tuple([term.labels.index(label) for label in labels])
    return term.x if order == tuple(range(len(order))) else Permute.apply(term.x, order)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0) -> Tensor:
    """The pairwise distances (..., n, m), in the `p`-norm, of the rows of x1 (..., n, k) and x2 (..., m, k).

    The differences (..., n, m, k) are held in memory. Raises ValueError for other shapes.

    >>> cdist(tensor([[0.0, 0.0]]), tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    common_backend("cdist", x1, x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist of shapes {x1.shape} and {x2.shape}: expected (..., n, k) and (..., m, k)")
    return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1)


__all__: list[str] = ["cdist", "einsum", "tensordot"]
