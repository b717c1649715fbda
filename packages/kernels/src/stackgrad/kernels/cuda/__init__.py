"""The `cuda` backend: all work is done by kernels that Numba compiles for NVIDIA's GPUs.

Importing this needs neither numba-cuda nor a GPU: only `_driver` imports them. An index:

    Operation                                    File                  Kernels, or their users

    matmul, also of batches; linear              _matmul.py            _product
    conv2d; conv1d, made 2d by stackgrad.tensor  conv/_forward.py      conv2d
    conv2d's gradient for its input              conv/_input_grad.py   conv2d_input_grad
    conv2d's gradient for its weight             conv/_weight_grad.py  conv2d_weight_grad
    the kernel of these three                    conv/_walk.py         _convolve, Walk
    convolution: where the kernel reads          conv/__init__.py      __doc__
    tensor_conv1d, tensor_conv2d, by conv2d      ../course.py          tensor_conv1d, tensor_conv2d
    tiles for all of these, in shared memory     _tile.py              Form, form_for, TiledKernels, joined
    pooling: max and average                     _pool.py              _max_pool, _max_pool_take, _avg_pool
    gradients of pooling                         _pool.py              _collect
    softmax, log-softmax and their gradients     _softmax.py           _softmax_rows, _softmax_grad_rows
    cross-entropy and its gradient               _softmax.py           _cross_entropy_rows, _cross_entropy_grad
    batch norm and its gradient                  _norm.py              _moments, _normalise, _grad_sums, _input_grad
    the split of its channels among threads      _channels.py          Cut, cut_of, ChannelKernels
    elementwise: add, exp, relu, where ...       _elementwise.py       _flat, _strided
    fused functions, a stage at a time           _fused.py             plan_stage, _text
    exp, log ... inside kernels                  _math.py              function_of, compile_scalar
    sum, prod, max, min; mean by sum             _reduce.py            _fold_rows, _fold_columns
    argmax, argmin                               _reduce.py            _extreme
    cumsum                                       _cumsum.py            _piece_sums, _running_sums
    gather: rows by index                        _indexing.py          _gather
    scatter_add: the gradient of gather          _indexing.py          _add_few, _add_sorted
    scatter: assignment to rows                  _indexing.py          _put_last
    sorting of indices for these two             _indexing.py          _count_up, _count_digits, _sort_by_digit
    nonzero: indices of true elements            _indexing.py          _true_coordinates
    argsort: the order that sorts rows           _sort.py              _count_along, _merge
    uniform random numbers, dropout              _random.py            _uniform, _dropout
    SGD, with momentum; Adam, AdamW              _optim.py             _sgd, _momentum, _adam
    fill                                         _copy.py              _fill
    copy, astype, assign; by _elementwise        _copy.py              copy, assign, contiguous, reshape
    checks of classes and indices                _checks.py            _check
    map, zip, reduce of a user's function        ../_custom.py         map, zip, reduce
    their kernels; by _flat, _fold_rows ...      _custom.py            CustomKernels

    the backend's operations                     _backend.py           CudaBackend
    arrays; views: permute, expand, slice        _array.py             DeviceArray, empty, from_numpy, to_numpy
    strides in kernels                           _strides.py           offset_of, parts, divide
    shapes and strides                           ../_index.py          merge, spread_strides, memory_order
    scalar expressions of the op table           ../_scalar.py         scalar_compiler, fused_scalar, OF_INTEGERS
    making and launching kernels                 _kernel.py            kernel, Kernel, named, cover, REGISTRY
    driver, compiler, simulator                  _driver.py            device, compile_to_ptx, _Gpu, _Simulator
    arrays of simulated kernels                  _simulated.py         Pointer, Anywhere
    compiled kernels on disk                     _disk_cache.py        ptx_of
    their files                                  ../_cache_files.py    load, store
    launches in a replay; for a CUDA graph       _replay.py            Row
    building such a graph                        _driver.py            _Gpu.graph
    the memory pool                              _memory.py            pool, Lease, Foreign
    its free blocks                              ../_free_blocks.py    FreeBlocks
    asynchronous uploads                         _staging.py           Staging, PinnedMemory
    buffers for frequent transfers               _host_buffer.py       PinnedBuffer
    DLPack, CUDA array interface                 _exchange.py          to_dlpack, to_cuda_array_interface, borrow
    what is missing                              _available.py         is_available, what_is_missing
    installed versions, what to install          _installed.py         version_of, INSTALL, SIMULATED
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._available import is_available, what_is_missing

if TYPE_CHECKING:
    from stackgrad.tensor import Backend

__all__ = ["backend", "is_available", "what_is_missing"]


def backend() -> Backend:
    """The backend. Raises RuntimeError, with what was found, what is missing and what to install."""
    missing = what_is_missing()
    if missing:
        raise RuntimeError(missing)
    from ._backend import CudaBackend

    return CudaBackend()
