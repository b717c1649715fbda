"""The `cpu` backend: every kind of work in kernels that Numba compiles, parallel on all cores."""

from stackgrad.tensor import HostBackend

from . import _buffers, _conv, _elementwise, _matmul, _optim, _pool, _random, _reduce, _softmax


class CpuBackend(HostBackend):
    """Arrays are NumPy's; memory and views are shared with the `numpy` backend."""

    name = "cpu"

    empty = staticmethod(_buffers.empty)
    owns_memory = staticmethod(_buffers.owns_memory)
    elementwise = staticmethod(_elementwise.elementwise)
    reduce = staticmethod(_reduce.reduce)
    arg_reduce = staticmethod(_reduce.arg_reduce)
    cumsum = staticmethod(_reduce.cumsum)
    matmul = staticmethod(_matmul.matmul)
    linear = staticmethod(_matmul.linear)
    conv2d = staticmethod(_conv.conv2d)
    conv2d_input_grad = staticmethod(_conv.conv2d_input_grad)
    conv2d_weight_grad = staticmethod(_conv.conv2d_weight_grad)
    max_pool2d = staticmethod(_pool.max_pool2d)
    max_pool2d_take = staticmethod(_pool.max_pool2d_take)
    max_pool2d_grad = staticmethod(_pool.max_pool2d_grad)
    avg_pool2d = staticmethod(_pool.avg_pool2d)
    avg_pool2d_grad = staticmethod(_pool.avg_pool2d_grad)
    softmax = staticmethod(_softmax.softmax)
    log_softmax = staticmethod(_softmax.log_softmax)
    cross_entropy = staticmethod(_softmax.cross_entropy)
    cross_entropy_grad = staticmethod(_softmax.cross_entropy_grad)
    uniform = staticmethod(_random.uniform)
    sgd_step = staticmethod(_optim.sgd_step)
    adam_step = staticmethod(_optim.adam_step)
