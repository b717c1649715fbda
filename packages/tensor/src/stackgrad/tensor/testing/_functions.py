"""Random functions of tensors that can be fused, to compare a fused function with the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._backend import Backend
from .._backward import grad
from .._create import from_numpy
from .._dtypes import bool_, float32, float64, int64
from .._fuse import fuse
from .._shape import broadcast_shapes
from .._tensor import Tensor
from .._types import Shape

Value = Any  # a tensor or a scalar
Step = Callable[[list[Value]], Value]

_UNARY: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.tanh(),
    lambda x: x.sigmoid(),
    lambda x: x.relu(),
    lambda x: x.erf(),
    lambda x: -x,
    lambda x: x.abs(),
    lambda x: (x.abs() + 1).log(),
    lambda x: (x * x + 0.5).sqrt(),
    lambda x: x.tanh().exp(),
    lambda x: x.clip(-0.5, 0.75),
    lambda x: x.sin(),
    lambda x: x.detach() * 2,
    lambda x: (x > 0.1).astype(x.dtype),
)
_BINARY: tuple[Callable[[Value, Value], Tensor], ...] = (
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (y * y + 1),
    lambda x, y: x.maximum(y) if isinstance(x, Tensor) else y * x,
    lambda x, y: (x < y).where(x, y * 2) if isinstance(x, Tensor) else y + x,
    lambda x, y: x * 0.5 + y,
)


class RandomFunction:
    """A function of tensors of `shapes` and `dtypes`, and of `scalars`, made of random steps."""

    def __init__(self, rng: np.random.Generator, steps: int = 8, extent: int = 4) -> None:
        self._rng = rng
        ndim = int(rng.integers(0, 4))
        full = tuple(int(n) for n in rng.integers(1, extent + 1, ndim))
        count = int(rng.integers(1, 4))
        self.shapes = [full, *[self._broadcasting(full) for _ in range(count - 1)]]
        self.dtypes = [
            float64,
            *[_choice(rng, (float64, float64, float64, float32, int64, bool_)) for _ in self.shapes[1:]],
        ]
        self.scalars = [_choice(rng, (2, -1.5, 0.25, 3)) for _ in range(int(rng.integers(0, 3)))]
        shapes = [*self.shapes, *[() for _ in self.scalars]]
        self._steps = [self._step(shapes) for _ in range(int(rng.integers(1, steps + 1)))]
        last = len(shapes) - 1
        others = rng.integers(0, len(self._steps), int(rng.integers(0, 3)))
        self._results = sorted({last, *[last - int(i) for i in others]})

    def __repr__(self) -> str:
        return f"RandomFunction(shapes={self.shapes}, {len(self._steps)} steps)"

    def __call__(self, *operands: Value) -> Value:
        values = list(operands)
        for step in self._steps:
            values.append(step(values))
        found = tuple([values[i] for i in self._results])
        return found if len(found) > 1 else found[0]

    def operands(self, backend: Backend, requires_grad: bool = True) -> list[Value]:
        """Operands for a call, the same each time: tensors in C order or transposed, and the scalars."""
        rng = np.random.default_rng(7)
        found: list[Value] = []
        for i, (shape, dtype) in enumerate(zip(self.shapes, self.dtypes, strict=True)):
            array = np.asarray(rng.standard_normal(shape[::-1] if i % 2 else shape) * 1.5).astype(dtype)
            x = from_numpy(array, backend=backend)
            x = x.T.detach() if i % 2 else x
            if requires_grad and dtype.kind == "f":
                x.requires_grad = True
            found.append(x)
        return found + self.scalars

    def _broadcasting(self, shape: Shape) -> Shape:
        """A shape that broadcasts to this one."""
        start = int(self._rng.integers(0, len(shape) + 1)) if self._rng.random() < 0.5 else 0
        return tuple([1 if self._rng.random() < 0.4 else extent for extent in shape[start:]])

    def _step(self, shapes: list[Shape]) -> Step:
        """One more step; appends the shape of its result."""
        rng = self._rng
        tensors = [i for i in range(len(shapes)) if i < len(self.shapes) or i >= len(self.shapes) + len(self.scalars)]
        i = _choice(rng, tensors[-3:])
        u = rng.random()
        if u < 0.35:
            unary = _choice(rng, _UNARY)
            shapes.append(shapes[i])
            return lambda values: unary(_as_float(values[i]))
        if u < 0.75:
            j, binary = int(rng.integers(len(shapes))), _choice(rng, _BINARY)
            try:
                shapes.append(broadcast_shapes(shapes[i], shapes[j]))
            except ValueError:
                j = i
                shapes.append(shapes[i])
            return lambda values: binary(_as_float(values[i]), _as_float(values[j]))
        if u < 0.9 and shapes[i]:
            dims = tuple(sorted({int(d) for d in rng.integers(0, len(shapes[i]), 2)}))
            name, keepdim = _choice(rng, ("sum", "mean", "max", "min")), bool(rng.random() < 0.6)
            dim: Any = dims if len(dims) > 1 or rng.random() < 0.5 else dims[0]
            kept = [1 if d in dims else n for d, n in enumerate(shapes[i]) if keepdim or d not in dims]
            shapes.append(tuple(kept))
            return lambda values: getattr(_as_float(values[i]), name)(dim, keepdim)
        if u < 0.95:
            shapes.append(shapes[i][::-1])
            return lambda values: values[i].T
        shapes.append((*shapes[i], 1))
        return lambda values: values[i].unsqueeze(-1)


def _as_float(x: Value) -> Value:
    return x.astype(float64) if isinstance(x, Tensor) and x.dtype.kind != "f" else x


def _choice(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def check_fused(function: RandomFunction, backend: Backend, order: int = 2) -> None:
    """The results and derivatives, up to `order`, of a fused function match those of the original."""
    operands = function.operands(backend)
    leaves = [x for x in operands if isinstance(x, Tensor) and x.requires_grad]
    expected, found = (_derivatives(f, operands, leaves, order) for f in (function, fuse(function)))
    assert len(found) == len(expected)
    for have, want in zip(found, expected, strict=True):
        assert (have.shape, have.dtype, have.requires_grad) == (want.shape, want.dtype, want.requires_grad)
        single = float32 in function.dtypes
        a, b = have.detach().numpy(), want.detach().numpy()
        scale = max(1.0, float(np.abs(b).max(initial=0))) if b.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(a, b, rtol=1e-4 if single else 1e-8, atol=(1e-4 if single else 1e-8) * scale)


def _derivatives(f: Callable[..., Any], operands: list[Value], leaves: list[Tensor], order: int) -> list[Tensor]:
    """The results, the gradients of the sum of their squares, and so on."""
    made = f(*operands)
    level = list(made) if isinstance(made, tuple) else [made]
    found = list(level)
    for i in range(order):
        total = [(x.astype(float64) ** 2).sum() for x in level if x.requires_grad]
        if not total:
            break
        try:
            level = list(grad(sum(total[1:], total[0]), leaves, create_graph=i + 1 < order))
        except RuntimeError:  # a leaf was not used
            break
        found += level
    return found
