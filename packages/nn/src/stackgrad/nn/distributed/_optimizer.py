"""An optimizer that averages gradients over all ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from stackgrad.tensor import Tensor

from .._arguments import expect_tensor, whole
from ..optim import Optimizer
from ._averaging import Averaging


class DistributedOptimizer(Optimizer):
    """Wraps an optimizer: it has the same methods and settings, and `backward`.

    Call `optimizer.backward(loss, samples)` instead of `loss.backward()`. After it each parameter's `grad` is the
    gradient of the mean over the samples of all ranks, with the same bits on each, so that clipping and `step` do the
    same as in one process. Gradients travel in buckets during the backward pass, each as soon as it is complete. Works
    in a captured function. Schedules accept it like the inner optimizer.

    Args:
        optimizer: an optimizer of `nn.optim`, or a subclass of `Optimizer`.
        compress: "bfloat16" halves the traffic; sums remain float32.
        bucket_bytes: the size of a bucket of gradients in bytes.

    Raises:
        TypeError: an argument that is not an optimizer.
        ValueError: an unknown `compress`, a bucket of less than one byte.
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
        """Add to each parameter's `grad` the gradient of the mean over the samples of all ranks.

        All ranks must call it. A parameter gets a gradient if any rank has one for it.

        Args:
            loss: one element, the mean over this rank's samples. Terms added to the mean, such as a penalty on weights,
                must be equal on all ranks.
            samples: the number of samples of the mean; with 0 this rank's loss does not count.
            retain_graph: whether to keep the graph for another pass.

        Raises:
            TypeError: a loss that is not a Tensor, a `samples` that is not an int.
            ValueError: a loss of several elements, a negative `samples`, or 0 on all ranks.
            DisagreementError: ranks that differ in their parameters or calls.
        """
        expect_tensor("loss", loss)
        if loss.numel() != 1:
            raise ValueError(f"backward of a loss of shape {loss.shape}: expected one element, the mean over samples")
        self._averaging.backward(loss, whole("samples", samples), retain_graph)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step the inner optimizer; a closure must call this object's `backward`.

        Raises:
            RuntimeError: a gradient of this rank only, computed without this object's `backward`.
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
        except KeyError:  # while a copy is created
            raise AttributeError(name) from None
        return getattr(optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.optimizer, name, value)

    def __repr__(self) -> str:
        return f"DistributedOptimizer({self.optimizer!r})"
