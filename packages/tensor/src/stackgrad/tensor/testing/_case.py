"""A case: one property of one kind of work, checked on one backend with arrays that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given, settings

from .._backend import Backend, get_backend
from .._backward import grad
from .._gradcheck import grad_check
from .._tensor import Tensor
from ._draw import Draw, Limits, draws

Check = Callable[[Backend, Draw], None]

EXAMPLES = {"values": 100, "gradient": 15, "second": 8, "special": 1}


@dataclass(frozen=True)
class Case:
    """`name` and `kind` ("values", "gradient", "second" derivative, or "special" values) say what `check` checks."""

    name: str
    kind: str
    check: Check

    def __str__(self) -> str:
        return self.name if self.kind == "values" else f"{self.name}-{self.kind}"

    def run(self, backend: str | Backend, limits: Limits | None = None, max_examples: int | None = None) -> None:
        """Check it with as many random arrays as its kind asks for, or `max_examples`. Raises AssertionError."""
        found = get_backend(backend)

        @settings(max_examples=max_examples or EXAMPLES[self.kind], deadline=None)
        @given(draws(limits))
        def examples(draw: Draw) -> None:
            self.check(found, draw)

        examples()


def check_gradient(function: Callable[..., Tensor], leaves: Sequence[Tensor], order: int = 1) -> None:
    """Compare the first or second derivatives of `function` of float64 `leaves` with central differences."""
    if order == 1:
        grad_check(function, *leaves, rtol=1e-4, atol=1e-5)
        return

    def gradients(*inputs: Tensor) -> Tensor:
        out = function(*inputs)
        found = grad((out * out).sum(), inputs, create_graph=True)
        return sum((g.reshape(-1).sum() * (i + 1) for i, g in enumerate(found[1:], 1)), found[0])

    grad_check(gradients, *leaves, rtol=1e-3, atol=1e-4)
