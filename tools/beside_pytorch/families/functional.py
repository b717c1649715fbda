"""Activations, losses, norms, attention, windows and sizes: the functions that are not in layers.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import Pure
from ..differences import intended
from ..draw import FLOATS, Draw

FAR_OUT = {"value": "far-out", "gradient": "far-out", "second": "far-out"}


def activations(draw: Draw) -> Pure:
    """Also of large values, infinities and NaN, and sometimes in place."""
    name = draw.choice(("gelu", "silu", "mish", "leaky_relu", "elu", "softplus", "logsigmoid", "hardtanh", "relu"))
    jumps = name in ("elu", "hardtanh")  # PyTorch's gradients of NaN depend on the size of the array
    values = draw.choice(("normal", "small") if jumps else ("normal", "small", "special"))
    x = draw.array(draw.shape(3, empty=0.05), draw.choice(FLOATS), values)
    x = x * np.asarray(draw.choice((1, 1, 10, 100)), x.dtype)
    options: dict[str, Any] = {}
    if name == "gelu":
        options["approximate"] = draw.choice(("none", "tanh"))
    elif name == "leaky_relu":
        options["negative_slope"] = draw.choice((0.01, 0.2, 1.5))
    elif name == "elu":
        options["alpha"] = draw.choice((1.0, 0.5, 2.0))
    elif name == "softplus":
        options = {"beta": draw.choice((1.0, 0.5, 3.0)), "threshold": draw.choice((20.0, 5.0))}
    elif name == "hardtanh":
        options = {"min_val": draw.choice((-1.0, 0.0)), "max_val": draw.choice((1.0, 0.5))}
    over = name not in ("gelu", "softplus", "logsigmoid") and draw.chance(0.2)
    if over:
        options["inplace"] = True
    order = 2
    if name == "elu":
        intended("second-at-kinks")
        order = 1
    apply = (
        (lambda lib, x: getattr(lib.F, name)(x * 1, **options))
        if over
        else (lambda lib, x: getattr(lib.F, name)(x, **options))
    )
    return Pure(apply, [x], order, nans=FAR_OUT if name in ("gelu", "silu", "mish") else {})


def element_losses(draw: Draw) -> Pure:
    """Each reduction, weights, and targets that require a gradient."""
    name = draw.choice(
        (
            "l1_loss",
            "huber_loss",
            "smooth_l1_loss",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "kl_div",
        )
    )
    dtype, shape = draw.choice(FLOATS), draw.shape(3, empty=0.05)
    options: dict[str, Any] = {"reduction": draw.choice(("mean", "sum", "none"))}
    x, y = draw.array(shape, dtype), draw.array(shape, dtype, draw.choice(("normal", "positive")))
    extra: list[Any] = []
    if name == "huber_loss":
        options["delta"] = draw.choice((0.5, 1.0, 2.0))
    elif name == "smooth_l1_loss":
        options["beta"] = draw.choice((0.5, 1.0, 2.0, 0.0))
    elif name == "kl_div":
        options["log_target"] = draw.chance(0.5)
        options["reduction"] = draw.choice((options["reduction"], "batchmean"))
        y = y if options["log_target"] else np.abs(y) + np.asarray(0.01, dtype)
    elif name != "l1_loss":
        y = np.asarray(1 / (1 + np.exp(-y)), dtype)
        x = np.asarray(1 / (1 + np.exp(-x)), dtype) if name == "binary_cross_entropy" else x * np.asarray(5, dtype)
        extra = [draw.array(draw.broadcastable(shape), dtype, "positive")] if draw.chance(0.4) else []

    def apply(lib: Any, x: Any, y: Any, *extra: Any) -> Any:
        return getattr(lib.F, name)(x, y, *[each.detach() for each in extra], **options)

    return Pure(apply, [x, y, *extra])


def class_losses(draw: Draw) -> Pure:
    """Weights, ignored classes, smoothing, probabilities and images; sometimes classes out of range."""
    name, dtype = draw.choice(("cross_entropy", "nll_loss")), draw.choice(FLOATS)
    classes = draw.integer(1, 5)
    dims = [draw.integer(1, 4) for _ in range(draw.integer(0, 3))]
    shape = (*dims[:1], classes, *dims[1:])
    values, scale = draw.choice(("normal", "small")), np.asarray(draw.choice((1, 10)), dtype)
    x = draw.array(shape, dtype, values, laid=False) * scale  # PyTorch has no gradient for images with other strides
    options: dict[str, Any] = {"reduction": draw.choice(("mean", "sum", "none"))}
    smoothing = {"label_smoothing": draw.choice((0.0, 0.1, 1.0))} if name == "cross_entropy" else {}
    weight = draw.array((classes,), dtype, "positive", laid=False) if draw.chance(0.4) else None
    if smoothing and draw.chance(0.2):
        y: Any = draw.array(shape, dtype, "positive")
    else:
        ignored = draw.choice((-100, -1, 0, classes - 1))
        if ignored != -100 or draw.chance(0.5):
            options["ignore_index"] = ignored
        y = np.asarray(draw.random.integers(0, classes + draw.chance(0.03), dims), np.int64)
        if draw.chance(0.4):
            y = np.asarray(np.where(draw.random.random(dims) < 0.4, ignored, y), np.int64)

    def apply(lib: Any, x: Any, y: Any, *weight: Any) -> Any:
        return getattr(lib.F, name)(x, y, *[each.detach() for each in weight], **options, **smoothing)

    return Pure(apply, [x, y] if weight is None else [x, y, weight])


def norms(draw: Draw) -> Pure:
    """layer_norm and group_norm, with and without weights."""
    dtype, eps = draw.choice(FLOATS), draw.choice((1e-5, 1e-2))
    if draw.chance(0.5):
        shape = draw.shape(3, least=1, empty=0)
        sizes = shape[draw.integer(0, len(shape) - 1) :]
        x, groups = draw.array(shape, dtype), 0
    else:
        groups = draw.integer(1, 3)
        sizes = (groups * draw.integer(1, 3),)
        x = draw.array((draw.integer(1, 3), *sizes, *draw.shape(2, 4, empty=0)), dtype)
    if np.prod(sizes) < 8:
        dtype = "float64"  # gradients of few values cancel, with large rounding errors in float32
    arrays = [x.astype(dtype), *[draw.array(sizes, dtype) for _ in range(draw.integer(0, 2))]]

    def apply(lib: Any, x: Any, *weights: Any) -> Any:
        affine = (*weights, None, None)[:2]
        if groups:
            return lib.F.group_norm(x, groups, *affine, eps)
        return lib.F.layer_norm(x, sizes, *affine, eps)

    return Pure(apply, arrays)


def embeddings(draw: Draw) -> Pure:
    """With and without padding; sometimes indices out of range."""
    rows = draw.integer(1, 6)
    index = np.asarray(draw.random.integers(0, rows + draw.chance(0.05), draw.shape(2, empty=0.05)), np.int64)
    padding = None if draw.chance(0.5) else draw.integer(-rows, rows - 1)
    weight = draw.array((rows, draw.integer(1, 4)), draw.choice(FLOATS))
    return Pure(lambda lib, index, weight: lib.F.embedding(index, weight, padding), [index, weight])


def attentions(draw: Draw) -> Pure:
    """Bool masks, float masks, causal masks or none; rows may be fully masked."""
    dtype = draw.choice(FLOATS)
    lead, (queries, keys, features, values) = draw.shape(2, 3, empty=0), (draw.integer(1, 5) for _ in range(4))
    q, k = draw.array((*lead, queries, features), dtype), draw.array((*lead, keys, features), dtype)
    arrays = [q, k, draw.array((*lead, keys, values), dtype)]
    options: dict[str, Any] = {"is_causal": draw.chance(0.3)}
    if draw.chance(0.3):
        options["scale"] = draw.choice((0.3, 1.0))
    if not options["is_causal"] and draw.chance(0.6):
        shape = (queries, keys) if draw.chance(0.5) else (*lead, queries, keys)
        allowed = np.asarray(draw.random.random(shape) < 0.6)
        added = np.where(allowed, draw.random.normal(size=shape), -np.inf).astype(dtype)
        arrays.append(allowed if draw.chance(0.5) else added)

    def apply(lib: Any, q: Any, k: Any, v: Any, *mask: Any) -> Any:
        return lib.F.scaled_dot_product_attention(q, k, v, *[each.detach() for each in mask], **options)

    return Pure(apply, arrays, order=1)


def _per_dim(draw: Draw, low: int, high: int, dims: int) -> Any:
    return draw.integer(low, high) if draw.chance(0.6) else tuple(draw.integer(low, high) for _ in range(dims))


def transposed(draw: Draw) -> Pure:
    """Transposed convolution with all options."""
    dims, dtype, groups = draw.integer(1, 2), draw.choice(FLOATS), draw.integer(1, 2)
    ins, outs = groups * draw.integer(1, 3), groups * draw.integer(1, 3)
    kernel = [draw.integer(1, 4) for _ in range(dims)]
    x = draw.array((draw.integer(1, 2), ins + draw.chance(0.02), *[draw.integer(2, 5) for _ in range(dims)]), dtype)
    arrays = [x, draw.array((ins, outs // groups, *kernel), dtype)]
    arrays += [draw.array((outs,), dtype)] if draw.chance(0.5) else []
    stride, padding, more = _per_dim(draw, 1, 3, dims), _per_dim(draw, 0, 1, dims), _per_dim(draw, 0, 1, dims)
    dilation = _per_dim(draw, 1, 2, dims)

    def apply(lib: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        function = lib.F.conv_transpose1d if dims == 1 else lib.F.conv_transpose2d
        return function(x, weight, bias, stride, padding, more, groups, dilation)

    return Pure(apply, arrays)


def other_pools(draw: Draw) -> Pure:
    """ceil_mode, dilation and padding that does not count, of sequences and images; adaptive pools."""
    dims, dtype = draw.integer(1, 2), draw.choice(FLOATS)
    x = draw.array((draw.integer(1, 2), draw.integer(1, 3), *[draw.integer(1, 8) for _ in range(dims)]), dtype)
    if draw.chance(0.3):
        goal = draw.integer(1, 7) if dims == 1 or draw.chance(0.5) else (draw.integer(1, 7), draw.choice((None, 1, 3)))
        return Pure(lambda lib, x: getattr(lib.F, f"adaptive_avg_pool{dims}d")(x, goal), [x])
    kernel = _per_dim(draw, 1, 4, dims)
    stride = None if draw.chance(0.3) else _per_dim(draw, 1, 3, dims)
    most = min(kernel) if isinstance(kernel, tuple) else kernel
    padding = draw.integer(0, most // 2)
    options: dict[str, Any] = {"ceil_mode": draw.chance(0.5)}
    name = draw.choice(("max", "avg"))
    if name == "max":
        options["dilation"] = 1 if draw.chance(0.6) else _per_dim(draw, 1, 3, dims)
        if options["dilation"] != 1:
            intended("windows-of-padding")
            padding = 0
    else:
        options["count_include_pad"] = draw.chance(0.5)
        if dims == 2 and draw.chance(0.2):
            options["divisor_override"] = draw.integer(1, 4)
    return Pure(lambda lib, x: getattr(lib.F, f"{name}_pool{dims}d")(x, kernel, stride, padding, **options), [x])


def pads(draw: Draw) -> Pure:
    """All modes and negative padding, of any dtype."""
    mode = draw.choice(("constant", "reflect", "replicate", "circular"))
    if mode == "constant":
        x = draw.array(draw.shape(4, empty=0), draw.choice((*FLOATS, "int64")))
        sides = [draw.integer(-1, 3) for _ in range(2 * draw.integer(0, x.ndim))]
        value = draw.choice((None, 0, 2))
        return Pure(lambda lib, x: lib.F.pad(x, sides, "constant", value), [x])
    dims = draw.integer(1, 2)
    x = draw.array(
        (draw.integer(1, 2), draw.integer(1, 3), *[draw.integer(1, 5) for _ in range(dims)]), draw.choice(FLOATS)
    )
    sides = [draw.integer(0, 3) for _ in range(2 * dims)]
    return Pure(lambda lib, x: lib.F.pad(x, sides, mode), [x])


def sizes(draw: Draw) -> Pure:
    """Nearest and linear interpolation, by size and by scale, with and without aligned corners."""
    dims, dtype = draw.integer(1, 2), draw.choice(FLOATS)
    x = draw.array((draw.integer(1, 2), draw.integer(1, 3), *[draw.integer(1, 6) for _ in range(dims)]), dtype)
    mode = draw.choice(("nearest", "linear" if dims == 1 else "bilinear"))
    options: dict[str, Any] = {"mode": mode}
    if mode != "nearest":
        options["align_corners"] = draw.chance(0.5)
    if draw.chance(0.5):
        options["size"] = _per_dim(draw, 1, 9, dims)
    else:
        options["scale_factor"] = draw.choice((0.5, 1.5, 2.0, 3.0))
        if dims == 1 and int(x.shape[2] * options["scale_factor"]) == x.shape[2]:
            intended("own-size")
            options["scale_factor"] = 2.0
    return Pure(lambda lib, x: lib.F.interpolate(x, **options), [x])


FAMILIES = [
    activations,
    element_losses,
    class_losses,
    norms,
    embeddings,
    attentions,
    transposed,
    other_pools,
    pads,
    sizes,
]
