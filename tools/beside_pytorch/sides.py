"""The two sides of a comparison: a common interface to stackgrad and to PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

import stackgrad.tensor as sg
from stackgrad import nn

from .differences import intended
from .draw import Array

Tensor = Any


class Refused(Exception):
    """PyTorch would not raise here, but stackgrad should; the page says so."""


class Ours:
    """stackgrad on one backend."""

    pytorch = False
    library: Any = sg
    nn: Any = nn
    F: Any = nn.functional

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """A tensor with these values and strides."""
        return sg.from_numpy(np.asarray(array), requires_grad=requires_grad, backend=self.backend)

    def made(self, data: Any, dtype: str | None) -> Tensor:
        """A tensor from nested lists."""
        return sg.tensor(data, dtype=dtype, backend=self.backend)

    def arange(self, *bounds: float, dtype: Any) -> Tensor:
        make: Any = sg.arange
        return make(*bounds, dtype=dtype, backend=self.backend)

    def array(self, x: Tensor) -> Array:
        """A copy of the values."""
        return np.array(x.detach().numpy())

    def is_tensor(self, x: object) -> bool:
        return isinstance(x, sg.Tensor)

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        return x.astype(dtype)

    def dtype(self, name: str) -> Any:
        return np.dtype(name)

    def where(self, condition: Tensor, a: Any, b: Any) -> Tensor:
        return sg.where(condition, a, b)

    def maximum(self, a: Tensor, b: Tensor) -> Tensor:
        return sg.maximum(a, b)

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        return sg.minimum(a, b)

    def extreme(self, name: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
        """`max` or `min` over one dim, several or all."""
        return getattr(x, name)(dim, keepdim=keepdim) if dim is not None else getattr(x, name)()

    def power(self, x: Any, y: Any) -> Tensor:
        return x**y

    def minus(self, x: Any, y: Any) -> Tensor:
        return x - y

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y

    def put(self, x: Tensor, key: Any, value: Any, arrays: bool) -> None:
        """x[key] = value; `arrays` says whether the key has index arrays."""
        x[key] = value

    def relu(self, x: Tensor) -> Tensor:
        """With 0 instead of -0."""
        return x.relu() + 0

    def settled(self, x: Tensor) -> Tensor:
        """A computed result, not a view."""
        return x

    def var(self, x: Tensor, dim: Any, correction: int, keepdim: bool) -> Tensor:
        return x.var(dim=dim, correction=correction, keepdim=keepdim)

    def concatenate(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        return sg.concatenate(tensors, dim)

    def stack(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        return sg.stack(tensors, dim)

    def grad(self, out: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
        return sg.grad(out, inputs, create_graph=create_graph)

    def no_grad(self) -> Any:
        return sg.no_grad()

    def refuse(self, name: str, when: bool) -> None:
        """Does nothing: stackgrad must raise by itself if `when`."""
        intended(name)

    def plain(self, x: Tensor) -> Tensor:
        """x itself; PyTorch's side makes it contiguous, without which its batch norm gives wrong gradients."""
        return x

    def module(self, module: Any) -> Any:
        """The module in float64, on the backend."""
        return module.to(self.backend).astype("float64")

    def optimizer(self, name: str, params: Sequence[Tensor], **options: Any) -> Any:
        return getattr(nn, name)(params, **options)

    def set_rate(self, optimizer: Any, rate: float) -> None:
        optimizer.param_groups[0]["lr"] = rate

    def schedule(self, name: str, optimizer: Any, **options: Any) -> Any:
        return getattr(nn.optim.lr_scheduler, name)(optimizer, **options)

    def rate(self, schedule: Any) -> float:
        """The current learning rate."""
        return float(schedule.optimizer.lr)

    def captured(self, function: Any) -> Any:
        return sg.capture(function)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Warnings are errors."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield


class Theirs:
    """PyTorch."""

    pytorch = True
    library: Any = torch
    nn: Any = torch.nn
    F: Any = torch.nn.functional

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        return torch.from_numpy(np.asarray(array)).requires_grad_(requires_grad)

    def made(self, data: Any, dtype: str | None) -> Tensor:
        """Rows must have the same length, even if the first is empty, as the page says."""
        x = torch.tensor(data, dtype=None if dtype is None else self.dtype(dtype))
        if not x.numel():
            try:
                np.asarray(data)
            except ValueError:
                self.refuse("rows-of-nothing", True)
        return x

    def arange(self, *bounds: float, dtype: Any) -> Tensor:
        first, last, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
        if (last - first) * step < 0:
            intended("arange-of-nothing")
            return torch.zeros(0, dtype=dtype or torch.arange(first, first + step, step).dtype)
        return torch.arange(*bounds, dtype=dtype)

    def array(self, x: Tensor) -> Array:
        return np.array(x.detach().resolve_neg().numpy(force=True))

    def is_tensor(self, x: object) -> bool:
        return isinstance(x, torch.Tensor)

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        return x.to(getattr(torch, dtype))

    def dtype(self, name: str) -> Any:
        return getattr(torch, name)

    def where(self, condition: Tensor, a: Any, b: Any) -> Tensor:
        return torch.where(condition, a, b)

    def maximum(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.minimum(a, b)

    def extreme(self, name: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
        """Only the values, as the page says."""
        if dim is None:
            return getattr(torch, name)(x)
        if not isinstance(dim, int):
            return getattr(torch, f"a{name}")(x, dim, keepdim)
        intended("max-values")
        return getattr(torch, name)(x, dim, keepdim).values

    def power(self, x: Any, y: Any) -> Tensor:
        """With stackgrad's errors for integers, and square roots as powers, as the page says."""
        bools = [self._is_bool(v) for v in (x, y)]
        self.refuse("bool-powers", all(bools))
        if any(bools) and any(isinstance(v, torch.Tensor) and v.requires_grad for v in (x, y)):
            x, y = ((v * 1 if self._is_bool(v) else v) for v in (x, y))
        if isinstance(y, torch.Tensor) and not y.is_floating_point() and not torch.is_floating_point(x * y):
            self.refuse("negative-powers", bool((y < 0).any()))
        if isinstance(y, float) and abs(y) == 0.5:
            intended("half-powers")
            y = torch.full_like(x if x.is_floating_point() else x.float(), y)
        return x**y

    def minus(self, x: Any, y: Any) -> Tensor:
        """Beside another dtype, bools are integers, as the page says."""
        if self._is_bool(x) != self._is_bool(y):
            intended("bool-minus")
            x, y = ((v * 1 if self._is_bool(v) else v) for v in (x, y))
        return x - y

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Mixed dtypes are promoted, as the page says."""
        if x.dtype != y.dtype:
            intended("matmul-promotes")
            dtype = torch.promote_types(x.dtype, y.dtype)
            x, y = x.to(dtype), y.to(dtype)
        return x @ y

    def put(self, x: Tensor, key: Any, value: Any, arrays: bool) -> None:
        if arrays and self.is_tensor(value):
            intended("writes-cast")
            value = value.to(x.dtype)
        x[key] = value

    def relu(self, x: Tensor) -> Tensor:
        """With 0 instead of -0, since either may occur, as the page says."""
        intended("signs-of-zeros")
        return x.relu() + 0

    def settled(self, x: Tensor) -> Tensor:
        """A contiguous result, as the page says; PyTorch keeps the strides of the operand."""
        intended("strides-of-results")
        return x.contiguous()

    def _is_bool(self, x: Any) -> bool:
        return x.dtype == torch.bool if isinstance(x, torch.Tensor) else isinstance(x, bool)

    def var(self, x: Tensor, dim: Any, correction: int, keepdim: bool) -> Tensor:
        """Of too few values, a division by zero, as the page says."""
        if dim == ():
            intended("variance-over-no-dims")
            dim = None
        out = x.var(dim=dim, correction=correction, keepdim=keepdim)
        if x.numel() > correction * out.numel():
            return out
        intended("variance-of-nothing")
        centred = x - x.mean(dim=dim, keepdim=True)
        return (centred * centred).sum(dim=dim, keepdim=keepdim) / 0

    def concatenate(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        return torch.cat(list(tensors), dim)

    def stack(self, tensors: Sequence[Tensor], dim: int) -> Tensor:
        return torch.stack(list(tensors), dim)

    def grad(self, out: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
        return tuple(torch.autograd.grad(out, list(inputs), create_graph=create_graph))

    def no_grad(self) -> Any:
        return torch.no_grad()

    def refuse(self, name: str, when: bool) -> None:
        """Raise if `when`: there stackgrad should raise, and PyTorch would not."""
        intended(name)
        if when:
            raise Refused(name)

    def plain(self, x: Tensor) -> Tensor:
        intended("batch-norm-strides")
        return x.contiguous()

    def module(self, module: Any) -> Any:
        return module.double()

    def optimizer(self, name: str, params: Sequence[Tensor], **options: Any) -> Any:
        return getattr(torch.optim, name)(params, **options)

    def set_rate(self, optimizer: Any, rate: float) -> None:
        optimizer.param_groups[0]["lr"] = rate

    def schedule(self, name: str, optimizer: Any, **options: Any) -> Any:
        made = SCHEDULES.get(name) or getattr(torch.optim.lr_scheduler, name)
        return made(optimizer, **options)

    def rate(self, schedule: Any) -> float:
        return float(schedule.optimizer.param_groups[0]["lr"])

    def captured(self, function: Any) -> Any:
        return function

    @contextmanager
    def running(self) -> Iterator[None]:
        """PyTorch's warnings are ignored."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


class _OneCycle(torch.optim.lr_scheduler.OneCycleLR):  # type: ignore[misc]
    """Linear up and cosine down, as the page says; PyTorch has one form for both. Momentum does not change."""

    def __init__(self, optimizer: Any, max_lr: float, total_steps: int, warmup: float) -> None:
        intended("one-cycle")
        self._at_peak = warmup * total_steps <= 1  # PyTorch divides by zero, or starts below the peak
        super().__init__(optimizer, max_lr, total_steps=total_steps, pct_start=warmup, cycle_momentum=False)

    def get_lr(self) -> list[float]:
        if self._at_peak:
            self._schedule_phases[0]["end_step"] = 0
            if not self.last_epoch:
                return [self.optimizer.param_groups[0]["max_lr"]]
        up = self.last_epoch <= self._schedule_phases[0]["end_step"]
        self._anneal_func_type = "linear" if up else "cos"
        return list(super().get_lr())


def _cosine(optimizer: Any, total_steps: int, min_lr: float) -> Any:
    intended("schedules-stay")
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps, min_lr)


def _step_decay(optimizer: Any, every: int, factor: float) -> Any:
    return torch.optim.lr_scheduler.StepLR(optimizer, every, factor)


SCHEDULES: dict[str, Any] = {"OneCycle": _OneCycle, "Cosine": _cosine, "StepDecay": _step_decay}

Side = Ours | Theirs
