"""The backend: its operations, each a function of a module."""

from __future__ import annotations

from stackgrad.tensor import HostBackend
from stackgrad.tensor._host import constant

from . import (
    _channels_last,
    _checks,
    _copy,
    _cumsum,
    _elementwise,
    _fused,
    _indexing,
    _matmul,
    _max_pool,
    _memory,
    _norm,
    _optim,
    _pool,
    _random,
    _reduce,
    _softmax,
    _sort,
)
from .conv import _forward, _grads, _input_grad, _weight_grad


class CpuBackend(HostBackend):
    """Arrays are NumPy's; memory and views are shared with the `numpy` backend."""

    name = "cpu"
    captures = True
    fuses = True

    constant = staticmethod(constant)
    full = staticmethod(_copy.full)
    copy = staticmethod(_copy.copy)
    assign = staticmethod(_copy.assign)
    reshape = staticmethod(_channels_last.reshape)

    empty = staticmethod(_memory.empty)
    owns_memory = staticmethod(_memory.owns_memory)
    elementwise = staticmethod(_elementwise.elementwise)
    plan_elementwise = staticmethod(_elementwise.plan_elementwise)
    plan_stage = staticmethod(_fused.plan_stage)
    reduce = staticmethod(_reduce.reduce)
    plan_reduce = staticmethod(_reduce.plan_reduce)
    arg_reduce = staticmethod(_reduce.arg_reduce)
    cumsum = staticmethod(_cumsum.cumsum)
    matmul = staticmethod(_matmul.matmul)
    linear = staticmethod(_matmul.linear)
    conv2d = staticmethod(_forward.conv2d)
    conv2d_grads = staticmethod(_grads.conv2d_grads)
    conv2d_input_grad = staticmethod(_input_grad.conv2d_input_grad)
    conv2d_weight_grad = staticmethod(_weight_grad.conv2d_weight_grad)
    max_pool2d = staticmethod(_max_pool.max_pool2d)
    max_pool2d_take = staticmethod(_max_pool.max_pool2d_take)
    max_pool2d_grad = staticmethod(_max_pool.max_pool2d_grad)
    max_pool2d_relu_grad = staticmethod(_max_pool.max_pool2d_relu_grad)
    avg_pool2d = staticmethod(_pool.avg_pool2d)
    avg_pool2d_grad = staticmethod(_pool.avg_pool2d_grad)
    softmax = staticmethod(_softmax.softmax)
    log_softmax = staticmethod(_softmax.log_softmax)
    softmax_grad = staticmethod(_softmax.softmax_grad)
    log_softmax_grad = staticmethod(_softmax.log_softmax_grad)
    checked_index = staticmethod(_checks.checked_index)
    cross_entropy = staticmethod(_softmax.cross_entropy)
    cross_entropy_grad = staticmethod(_softmax.cross_entropy_grad)
    batch_norm = staticmethod(_norm.batch_norm)
    batch_norm_grad = staticmethod(_norm.batch_norm_grad)
    gather = staticmethod(_indexing.gather)
    scatter_add = staticmethod(_indexing.scatter_add)
    scatter = staticmethod(_indexing.scatter)
    argsort = staticmethod(_sort.argsort)
    uniform = staticmethod(_random.uniform)
    dropout = staticmethod(_random.dropout)
    plan_step = staticmethod(_optim.plan_step)
    sgd_step = staticmethod(_optim.sgd_step)
    adam_step = staticmethod(_optim.adam_step)
