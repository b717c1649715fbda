"""Functions of tensors without state: what the layers call.

They have the names of PyTorch, its arguments and its meaning. Those of the minitorch course are in `course`.
"""

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor

from ._arguments import Activation, Padding, Size, check_ndim, expect_tensors, is_relu, paddings, sizes

# ---------------------------------------------------------------------------------------------- linear and pointwise


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = None) -> Tensor:
    """`input @ weight.T + bias`.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,), or None.
        activation: "relu" takes the `relu` of the result at once, which is faster; None leaves it as it is.

    Returns:
        (..., out_features).

    Raises:
        ValueError: shapes that do not fit, another activation.
    """
    expect_tensors("linear", input=input, weight=weight, bias=bias)
    return sg.linear(input, weight, bias, is_relu(activation))


def relu(input: Tensor) -> Tensor:
    """max(input, 0), element by element; the gradient at 0 is 0."""
    expect_tensors("relu", input=input)
    return input.relu()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)), element by element."""
    expect_tensors("sigmoid", input=input)
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent, element by element."""
    expect_tensors("tanh", input=input)
    return input.tanh()


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(input) / sum of exp(input) along `dim`; same shape. The maximum is subtracted first, so nothing overflows."""
    expect_tensors("softmax", input=input)
    return sg.softmax(input, dim)


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """input - log(sum of exp(input) along `dim`), by log-sum-exp; same shape."""
    expect_tensors("log_softmax", input=input)
    return sg.log_softmax(input, dim)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, *, generator: Generator | None = None) -> Tensor:
    """Zeroes each element with probability `p` and divides the others by (1 - p).

    Source: Srivastava et al., "Dropout", JMLR 2014. The mask depends on the generator and the element's logical index
    alone, so it is the same on every backend and in every memory layout.

    Args:
        input: any shape, a float dtype.
        p: 0 gives the input, 1 gives zeros.
        training: where false, the result is the input.
        generator: the source of the mask; the default generator where None.

    Raises:
        ValueError: a `p` outside [0, 1].
    """
    expect_tensors("dropout", input=input)
    if check_probability(p) == 0 or not training:
        return input
    return sg.dropout(input, p, generator=generator)


def check_probability(p: float) -> float:
    """`p`, or ValueError where it is no probability of dropping an element."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be between 0 and 1; got {p}")
    return p


# --------------------------------------------------------------------------------------------------------- convolution


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """2-D cross-correlation: out[n, o, y, x] = bias[o] + sum of weight[o, c, i, j] * input[n, c, y + i, x + j].

    Args:
        input: (batch, in_channels, height, width).
        weight: (out_channels, in_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.
        stride: the step between windows: an int or (rows, columns).
        padding: zeros around the input: an int, (rows, columns), ((top, bottom), (left, right)), "valid" (none), or
            "same" (the output has the input's size; stride 1 only; an odd zero stands at the end).
        dilation: the step between a kernel's elements: an int or (rows, columns).
        groups: output channels are cut into so many groups, each seeing its own share of the input channels.
        activation: as in `linear`.

    Returns:
        (batch, out_channels, out_height, out_width), with
        out = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1.

    Raises:
        ValueError: shapes, channels or groups that do not fit, a kernel larger than the padded input.
    """
    expect_tensors("conv2d", input=input, weight=weight, bias=bias)
    check_ndim("weight", weight, 4, "(out_channels, in_channels / groups, kernel_height, kernel_width)")
    steps = sizes("stride", stride, 2)
    spread = sizes("dilation", dilation, 2)
    pads = paddings(padding, weight.shape[2:], steps, spread)
    return sg.conv2d(input, weight, bias, _pair(steps), _pairs(pads), _pair(spread), groups, is_relu(activation))


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """1-D cross-correlation: `conv2d` on an image of height 1.

    Args:
        input: (batch, in_channels, width).
        weight: (out_channels, in_channels / groups, kernel_width).
        bias: (out_channels,), or None.
        stride: the step between windows: an int or (columns,).
        padding: an int, (columns,), ((left, right),), "valid" or "same", as in `conv2d`.
        dilation: the step between a kernel's elements: an int or (columns,).
        groups, activation: as in `conv2d`.

    Returns:
        (batch, out_channels, out_width).

    Raises:
        ValueError: as in `conv2d`.
    """
    expect_tensors("conv1d", input=input, weight=weight, bias=bias)
    check_ndim("input", input, 3, "(batch, channels, width)")
    check_ndim("weight", weight, 3, "(out_channels, in_channels / groups, kernel_width)")
    steps = sizes("stride", stride, 1)
    spread = sizes("dilation", dilation, 1)
    pads = paddings(padding, weight.shape[2:], steps, spread)
    return sg.conv1d(input, weight, bias, steps[0], pads[0], spread[0], groups, is_relu(activation))


# -------------------------------------------------------------------------------------------------------------- pooling


def max_pool2d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Padding = 0) -> Tensor:
    """The largest value of each window; the gradient goes to the first of equal values.

    Args:
        input: (batch, channels, height, width).
        kernel_size: an int or (rows, columns).
        stride: the same forms; the kernel size where None.
        padding: an int, (rows, columns) or ((top, bottom), (left, right)), at most half the kernel; what is padded
            never is the largest.

    Returns:
        (batch, channels, out_height, out_width); a ragged edge that holds no whole window is dropped.

    Raises:
        ValueError: another number of dimensions, sizes that do not fit.
    """
    expect_tensors("max_pool2d", input=input)
    return sg.max_pool2d(input, *_pool_arguments(kernel_size, stride, padding))


def avg_pool2d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Padding = 0) -> Tensor:
    """The mean of each window; padded zeros count. Arguments, result and errors as in `max_pool2d`."""
    expect_tensors("avg_pool2d", input=input)
    return sg.avg_pool2d(input, *_pool_arguments(kernel_size, stride, padding))


# -------------------------------------------------------------------------------------------------------- normalisation


def batch_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Activation = None,
) -> Tensor:
    """Subtracts each channel's mean, divides by its standard deviation, then scales and shifts.

    Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

    Args:
        input: (batch, channels, ...).
        running_mean: (channels,); in training it moves by `momentum` towards the batch's mean, in place. An empty
            batch moves nothing.
        running_var: (channels,); likewise towards the batch's variance (that of n - 1).
        weight: (channels,), the scale.
        bias: (channels,), the shift.
        training: the batch's own statistics where true, the running ones where false.
        momentum: the share of the batch in the running statistics.
        eps: added to the variance.
        activation: "relu" takes the `relu` of the result at once, which is faster; None leaves it as it is.

    Returns:
        The input's shape.

    Raises:
        ValueError: an input of less than two dimensions, no channels or channels that differ, training on one value a
            channel, another activation.
    """
    expect_tensors(
        "batch_norm", input=input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if input.ndim < 2:
        raise ValueError(f"input must have at least 2 dimensions, (batch, channels, ...); got shape {input.shape}")
    channels, relu = input.shape[1], is_relu(activation)
    if not channels:
        raise ValueError(f"batch_norm: input of shape {input.shape} has no channels: expected 1 or more")
    for name, value in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if value.shape != (channels,):
            raise ValueError(f"{name} must have shape ({channels},), one a channel of the input; got {value.shape}")
        if value.dtype != input.dtype:
            raise TypeError(
                f"batch_norm: input has dtype {input.dtype} and {name} {value.dtype}: expected the same; "
                "use .astype(...)"
            )
    if not training:
        column = (channels,) + (1,) * (input.ndim - 2)
        scale = weight * (running_var + eps).rsqrt()
        out = input * scale.reshape(*column) + (bias - running_mean * scale).reshape(*column)
        return out.relu() if relu else out
    out, mean, var = sg.batch_norm(input, weight, bias, eps, relu)
    count = input.size // channels
    if not count:
        return out
    with sg.no_grad():
        running_mean.copy_(running_mean * (1 - momentum) + mean * momentum)
        running_var.copy_(running_var * (1 - momentum) + var * (momentum * count / (count - 1)))
    return out


# -------------------------------------------------------------------------------------------------------------- helpers


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = values
    return rows, columns


def _pairs(values: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, columns = values
    return rows, columns


def _pool_arguments(
    kernel_size: Size, stride: Size | None, padding: Padding
) -> tuple[tuple[int, int], tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    kernel = sizes("kernel_size", kernel_size, 2)
    steps = kernel if stride is None else sizes("stride", stride, 2)
    return _pair(kernel), _pair(steps), _pairs(paddings(padding, kernel, steps, (1, 1)))
