"""The `cpu` backend: all work is done by kernels that Numba compiles, in parallel on all cores.

Files with the same name in `cuda` have the same purpose. An index:

    Operation                                    File                  Kernels, or their users

    matmul, also of batches; linear              _matmul.py            matmul, linear
    conv2d; conv1d, made 2d by stackgrad.tensor  conv/_forward.py      conv2d
    conv2d's gradient for its input              conv/_input_grad.py   conv2d_input_grad
    conv2d's gradient for its weight             conv/_weight_grad.py  conv2d_weight_grad
    the same, with packed images                 conv/_packed.py       by_packing
    convolution with few output channels         conv/_planes.py       by_planes
    convolution: the algorithm for each shape    conv/__init__.py      PRODUCT_FROM, FLIP_FROM, PACK_FROM
    tensor_conv1d, tensor_conv2d, by conv2d      ../course.py          tensor_conv1d, tensor_conv2d
    tiles for all of these, in registers         _simd.py              Tile, tile_load, tile_multiply_add, tile_store
    tiles transposed as they are loaded          _transposed.py        tile_of_columns, tile_store_pixels
    the widths of these registers                _width.py             WIDE_BYTES, IS_WIDE, lanes, wide_lanes
    operations on one vector                     _vector.py            vector_at, vector_of
    pooling: average, and its gradient           _pool.py              _avg_pool, _avg_pool_grad
    max pooling and its gradients                _max_pool.py          _max_pool, _max_pool_grad, _max_pool_relu_grad
    softmax, log-softmax                         _softmax.py           _softmax, _log_softmax
    the gradients of these two                   _softmax.py           _softmax_grad, _log_softmax_grad
    cross-entropy and its gradient               _softmax.py           _cross_entropy, _cross_entropy_grad
    batch norm and its gradient                  _norm.py              batch_norm, batch_norm_grad
    channels-last images                         _channels_last.py     channels_last, in_order
    padded images                                conv/_image.py        padding, reading
    elementwise: add, exp, relu, where ...       _elementwise.py       _flat, _walk
    fused functions, a stage at a time           _fused.py             plan_stage, _text
    splitting a stage into several loops         _fission.py           parts_of
    exp, log ... inside kernels                  _math.py              function_of, compile_scalar
    sum, prod, max, min; mean by sum             _reduce.py            _fold
    the same for adjacent floats, in registers   _vector_fold.py       fold_vectors
    prod of floats                               _product.py           products
    sums that stay accurate                      _parts.py             sum_of, add_exactly
    argmax, argmin                               _reduce.py            _arg_extreme
    cumsum                                       _cumsum.py            _of_integers, _of_floats
    gather: rows by index                        _indexing.py          _gather
    scatter_add: the gradient of gather          _indexing.py          _scatter_add, _scatter_add_many
    scatter: assignment to rows                  _indexing.py          _scatter
    argsort: the order that sorts rows           _sort.py              _sort
    uniform random numbers, dropout              _random.py            _uniform32, _uniform64, _drop
    SGD, with momentum; Adam, AdamW              _optim.py             _sgd, _momentum, _adam
    copy, astype, assign, fill; by _elementwise  _copy.py              copy, assign, reshape, full
    checks of classes and indices                _checks.py            _check
    map, zip, reduce of a user's function        ../_custom.py         map, zip, reduce
    their kernels                                _custom.py            CustomKernels
    images sampled along affine maps             _affine.py            affine_images
    rows of bytes as scaled floats               _bytes.py             scaled_bytes

    the backend's operations                     _backend.py           CpuBackend
    shapes and strides                           ../_index.py          merge, spread_strides, memory_order
    scalar expressions of the op table           ../_scalar.py         scalar_compiler, fused_scalar, OF_INTEGERS
    making and launching kernels                 _kernel.py            kernel, Kernel, rebind
    Numba, imported only when needed             _numba.py             helper, intrinsic, Lazy, Deferred
    the machine code of a launch                 _launch.py            object_code, write_entry
    that of kernels and their helpers            _library.py           ObjectCode, inlined
    loading machine code                         _machine_code.py      load, function_at
    the threads that share a launch              _team.py              Team, launch, replay, serve
    how work is split into chunks                _parallel.py          CHUNK, SERIAL, is_small
    memory access in kernels                     _pointers.py          load, store, on_stack
    the types of arrays and tiles                _types.py             Memory, Memories, Tile
    compiled kernels on disk                     _disk_cache.py        load, store
    their files                                  ../_cache_files.py    load, store
    launches in a replay                         _replay.py            Row
    memory that these launches share             _lifetimes.py         share_memory
    the memory pool                              _memory.py            pool, empty, maker
    its free blocks                              ../_free_blocks.py    FreeBlocks
"""

from ._backend import CpuBackend

__all__ = ["CpuBackend"]
