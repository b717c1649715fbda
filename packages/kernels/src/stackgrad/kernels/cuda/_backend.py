"""The backend: its operations, most of them functions of modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from stackgrad.tensor import Backend, capturing
from stackgrad.tensor._stage import Stage
from stackgrad.tensor._types import DType, Shape

from . import (
    _array,
    _checks,
    _copy,
    _cumsum,
    _elementwise,
    _fused,
    _host_buffer,
    _indexing,
    _matmul,
    _norm,
    _optim,
    _pool,
    _random,
    _reduce,
    _softmax,
    _sort,
)
from ._array import DeviceArray
from .conv import _forward, _input_grad, _weight_grad


class CudaBackend(Backend):
    """Arrays are `DeviceArray`s; only `from_numpy` and `to_numpy` copy between them and the host."""

    name = "cuda"
    captures = True
    fuses = True

    from_numpy = staticmethod(_array.from_numpy)
    from_dlpack = staticmethod(_array.from_dlpack)
    empty = staticmethod(_array.empty)
    empty_like = staticmethod(_array.empty_like)
    permute = staticmethod(_array.permute)
    expand = staticmethod(_array.expand)
    slice = staticmethod(_array.slice_)
    full = staticmethod(_copy.full)
    constant = staticmethod(_copy.constant)
    copy = staticmethod(_copy.copy)
    assign = staticmethod(_copy.assign)
    reshape = staticmethod(_copy.reshape)
    elementwise = staticmethod(_elementwise.elementwise)
    plan_elementwise = staticmethod(_elementwise.plan_elementwise)
    plan_reduce = staticmethod(_reduce.plan_reduce)
    reduce = staticmethod(_reduce.reduce)
    arg_reduce = staticmethod(_reduce.arg_reduce)
    cumsum = staticmethod(_cumsum.cumsum)
    matmul = staticmethod(_matmul.matmul)
    linear = staticmethod(_matmul.linear)
    conv2d = staticmethod(_forward.conv2d)
    conv2d_input_grad = staticmethod(_input_grad.conv2d_input_grad)
    conv2d_weight_grad = staticmethod(_weight_grad.conv2d_weight_grad)
    max_pool2d = staticmethod(_pool.max_pool2d)
    max_pool2d_take = staticmethod(_pool.max_pool2d_take)
    max_pool2d_grad = staticmethod(_pool.max_pool2d_grad)
    avg_pool2d = staticmethod(_pool.avg_pool2d)
    avg_pool2d_grad = staticmethod(_pool.avg_pool2d_grad)
    softmax = staticmethod(_softmax.softmax)
    log_softmax = staticmethod(_softmax.log_softmax)
    softmax_grad = staticmethod(_softmax.softmax_grad)
    log_softmax_grad = staticmethod(_softmax.log_softmax_grad)
    cross_entropy = staticmethod(_softmax.cross_entropy)
    cross_entropy_grad = staticmethod(_softmax.cross_entropy_grad)
    batch_norm = staticmethod(_norm.batch_norm)
    batch_norm_grad = staticmethod(_norm.batch_norm_grad)
    gather = staticmethod(_indexing.gather)
    scatter_add = staticmethod(_indexing.scatter_add)
    scatter = staticmethod(_indexing.scatter)
    argsort = staticmethod(_sort.argsort)
    nonzero = staticmethod(_indexing.nonzero)
    uniform = staticmethod(_random.uniform)
    dropout = staticmethod(_random.dropout)
    sgd_step = staticmethod(_optim.sgd_step)
    adam_step = staticmethod(_optim.adam_step)

    def __init__(self) -> None:
        self._checks = _checks.Checks()

    def checked_index(
        self, index: DeviceArray, low: int, extent: int, error: type[Exception], message: str
    ) -> DeviceArray:
        found: DeviceArray = super().checked_index(index, low, extent, error, message)
        if capturing.tape is None:
            return found
        return self._checks.launch(index, low, extent, error, message)

    def plan_stage(self, stage: Stage, arrays: Sequence[DeviceArray]) -> Callable[..., Sequence[DeviceArray]]:
        return _fused.plan_stage(stage, arrays, super().plan_stage(stage, arrays))

    def to_numpy(self, array: DeviceArray) -> NDArray[Any]:
        values = _array.to_numpy(_copy.contiguous(array))
        self._checks.report()
        return values

    def host_buffer(self, shape: Shape, dtype: DType) -> _host_buffer.PinnedBuffer:
        return _host_buffer.PinnedBuffer(shape, dtype, self._checks.report)

    def owns_memory(self, a: DeviceArray) -> bool:
        return a.is_whole

    def is_writable(self, a: DeviceArray) -> bool:
        return a.is_writable

    def is_contiguous(self, a: DeviceArray) -> bool:
        return a.is_contiguous

    def shares_memory(self, a: DeviceArray, b: DeviceArray) -> bool:
        return a.owner is b.owner
