"""An optimizer whose gradients are those of all ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from stackgrad.tensor import Tensor

from .._arguments import expect_tensor, whole
from ..optim import Optimizer
from ._averaging import Averaging


class DistributedOptimizer(Optimizer):
    """An optimizer around another one, with its methods and settings, and with `backward`.

    `optimizer.backward(loss, samples)` stands in the place of `loss.backward()`: behind it each parameter's `grad` is
    that of the mean over the samples of all ranks, with the same bits on each, so that clipping and `step` do on each
    rank what they do in one process. Gradients travel in buckets, each as soon as it is complete, while the backward
    pass goes on. Works in a captured function. Schedules take it as they take the other.

    Args:
        optimizer: any of `nn.optim`.
        compress: "bfloat16" halves what is sent; sums are of float32 all the same.
        bucket_bytes: how many bytes of gradients go together.

    Raises:
        TypeError: what is no optimizer.
        ValueError: another `compress`, a bucket of less than one byte.
    """

    optimizer: Optimizer

    def __init__(
        self, optimizer: Optimizer, *, compress: Literal["bfloat16"] | None = None, bucket_bytes: int = 4 * 1024**2
    ) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, DistributedOptimizer):
            raise TypeError(f"a DistributedOptimizer takes an optimizer of nn.optim; got {type(optimizer).__name__}")
        if compress not in (None, "bfloat16"):
            raise ValueError(f"compress must be None or 'bfloat16'; got {compress!r}")
        if whole("bucket_bytes", bucket_bytes) < 1:
            raise ValueError(f"bucket_bytes must be at least 1; got {bucket_bytes}")
        averaging = Averaging(optimizer.params, bucket_bytes, compress is not None)
        vars(self).update(optimizer=optimizer, _averaging=averaging)

    def backward(self, loss: Tensor, samples: int, retain_graph: bool = False) -> None:
        """Adds to each parameter's `grad` that of the mean over all ranks' samples. All ranks call it equally often.

        A parameter has a gradient where one of the ranks has one for it.

        Args:
            loss: one element, the mean over this rank's samples (what is added to the mean, as a penalty on weights,
                must be the same on all ranks).
            samples: of how many samples it is the mean; with 0 the rank has none, and its loss counts nothing.
            retain_graph: keeps the graph for another pass.

        Raises:
            TypeError: what is no Tensor, no int.
            ValueError: a loss of several elements, a negative number, or 0 on all ranks.
            DisagreementError: ranks with other parameters.
        """
        expect_tensor("loss", loss)
        if loss.numel() != 1:
            raise ValueError(f"backward of a loss of shape {loss.shape}: expected one element, the mean over samples")
        self._averaging.backward(loss, whole("samples", samples), retain_graph)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As that of the other optimizer; a closure calls this one's `backward`.

        Raises:
            RuntimeError: a gradient that is this rank's alone, since another `backward` than this one's made it.
        """
        if closure is None:
            self._averaging.expect_averaged()
            return self.optimizer.step()

        def checked() -> Any:
            found = closure()
            self._averaging.expect_averaged()
            return found

        return self.optimizer.step(checked)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)
        self._averaging.forget()

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        self.optimizer.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state)

    def __getattr__(self, name: str) -> Any:
        try:
            optimizer = vars(self)["optimizer"]
        except KeyError:  # of a copy that is being made
            raise AttributeError(name) from None
        return getattr(optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.optimizer, name, value)

    def __repr__(self) -> str:
        return f"DistributedOptimizer({self.optimizer!r})"
