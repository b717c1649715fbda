"""Convolution against plain loops, over random stride, padding, dilation and groups."""

import itertools
import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn

Array = npt.NDArray[Any]


def loops(
    x: Array,
    w: Array,
    b: Array | None,
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    dilation: tuple[int, int],
    groups: int,
) -> Array:
    """The definition, one multiplication at a time, in float64."""
    batch, _, height, width = x.shape
    out_channels, share, rows, columns = w.shape
    (top, bottom), (left, right) = padding
    out_height = (height + top + bottom - dilation[0] * (rows - 1) - 1) // stride[0] + 1
    out_width = (width + left + right - dilation[1] * (columns - 1) - 1) // stride[1] + 1
    out = np.zeros((batch, out_channels, out_height, out_width))
    for n, o, y, z in itertools.product(*map(range, out.shape)):
        total = 0.0 if b is None else float(b[o])
        group = o // (out_channels // groups)
        for c, i, j in itertools.product(range(share), range(rows), range(columns)):
            row = y * stride[0] + i * dilation[0] - top
            column = z * stride[1] + j * dilation[1] - left
            if 0 <= row < height and 0 <= column < width:
                total += float(x[n, group * share + c, row, column]) * float(w[o, c, i, j])
        out[n, o, y, z] = total
    return out


class Case(NamedTuple):
    x: Array
    w: Array
    b: Array | None
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int


@st.composite
def cases(draw: st.DrawFn, height: int = 7, largest: int = 3) -> Case:
    small = st.integers(1, largest)
    groups = draw(st.integers(1, 2))
    share, out_share = draw(small), draw(st.integers(1, 2))
    kernel = (draw(small) if height > 1 else 1, draw(small))
    stride = (draw(small) if height > 1 else 1, draw(small))
    dilation = (draw(st.integers(1, 2)) if height > 1 else 1, draw(st.integers(1, 2)))
    pad = st.tuples(st.integers(0, 2), st.integers(0, 2))
    padding = (draw(pad) if height > 1 else (0, 0), draw(pad))
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, s - sum(p)) for s, p in zip(span, padding, strict=True)]
    size = [draw(st.integers(n, n + 3)) if height > 1 or i else 1 for i, n in enumerate(least)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal((draw(st.integers(0, 2)), groups * share, *size))
    w = rng.standard_normal((groups * out_share, share, *kernel))
    b = rng.standard_normal(groups * out_share) if draw(st.booleans()) else None
    return Case(x, w, b, stride, padding, dilation, groups)


def tensor(array: Array | None) -> Any:
    return None if array is None else sg.tensor(array)


@settings(max_examples=60)
@given(cases(), st.sampled_from([np.float32, np.float64]))
def test_conv2d_equals_loops(case: Case, dtype: Any) -> None:
    x, w = case.x.astype(dtype), case.w.astype(dtype)
    b = None if case.b is None else case.b.astype(dtype)
    out = nn.conv2d(tensor(x), tensor(w), tensor(b), case.stride, case.padding, case.dilation, case.groups)
    assert out.dtype == dtype
    tolerance = 1e-4 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(out.numpy(), loops(x, w, b, *case[3:]), rtol=tolerance, atol=tolerance)


@settings(max_examples=40)
@given(cases(height=1))
def test_conv1d_equals_loops(case: Case) -> None:
    x, w, b = case[:3]
    (_, stride), (_, padding), (_, dilation) = case.stride, case.padding, case.dilation
    out = nn.conv1d(tensor(x[:, :, 0]), tensor(w[:, :, 0]), tensor(b), stride, (padding,), dilation, case.groups)
    np.testing.assert_allclose(out.numpy(), loops(*case)[:, :, 0], rtol=1e-12, atol=1e-12)


@settings(max_examples=15)
@given(cases(largest=2))
def test_conv2d_gradients(case: Case) -> None:
    def conv(x: sg.Tensor, w: sg.Tensor, *b: sg.Tensor) -> sg.Tensor:
        return nn.conv2d(x, w, b[0] if b else None, case.stride, case.padding, case.dilation, case.groups)

    sg.grad_check(conv, *(sg.tensor(array, requires_grad=True) for array in case[:3] if array is not None))


@settings(max_examples=15)
@given(cases(height=1, largest=2))
def test_conv1d_gradients(case: Case) -> None:
    def conv(x: sg.Tensor, w: sg.Tensor) -> sg.Tensor:
        return nn.conv1d(x, w, None, case.stride[1], (case.padding[1],), case.dilation[1], case.groups)

    sg.grad_check(conv, *(sg.tensor(array[:, :, 0], requires_grad=True) for array in case[:2]))


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_same_keeps_the_size(rows: int, columns: int, dilation: int, height: int, width: int) -> None:
    out = nn.conv2d(sg.ones(1, 1, height, width), sg.ones(1, 1, rows, columns), padding="same", dilation=dilation)
    assert out.shape == (1, 1, height, width)


def test_same_puts_the_odd_zero_at_the_end() -> None:
    x, w = sg.tensor([[[1.0, 2.0, 3.0]]]), sg.tensor([[[1.0, 10.0]]])
    assert nn.conv1d(x, w, padding="same").tolist() == [[[21.0, 32.0, 3.0]]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_padding_at_the_end_aligns_the_kernel_left_as_in_the_course(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, 1, 5)), rng.standard_normal((1, 1, width))
    out = nn.conv1d(tensor(x), tensor(w), padding=((0, width - 1),))
    padded = np.pad(x, ((0, 0), (0, 0), (0, width - 1)))
    expected = [[np.dot(padded[n, 0, i : i + width], w[0, 0]) for i in range(5)] for n in range(2)]
    np.testing.assert_allclose(out.numpy()[:, 0], expected, rtol=1e-12, atol=1e-12)


def test_non_contiguous_input() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 4, 3, 2)), rng.standard_normal((2, 2, 3, 3))
    out = nn.conv2d(sg.tensor(x).permute(3, 2, 1, 0)[:, 1:], sg.tensor(w).transpose(2, 3), padding=1)
    expected = loops(x.T[:, 1:], w.swapaxes(2, 3), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((3, 4, 4), (1, 3, 2, 2), {}, "input of shape (3, 4, 4): expected (batch, channels, height, width)"),
        (
            (1, 3, 4, 4),
            (1, 3, 2),
            {},
            "weight of shape (1, 3, 2): expected (out, in / groups, kernel height, kernel width)",
        ),
        ((1, 3, 4, 4), (1, 2, 2, 2), {}, "has 3 channels, weight of shape (1, 2, 2, 2) with groups 1 expects 2"),
        ((1, 3, 4, 4), (1, 3, 5, 5), {}, "spans 5x5, more than the image of 4x4"),
        ((1, 3, 4, 4), (2, 1, 2, 2), {"groups": 2}, "groups 2 does not divide 3 input and 2 output channels"),
        ((1, 3, 4, 4), (2, 3, 2, 2), {"bias": (3,)}, "bias of shape (3,): expected (2,)"),
        ((1, 3, 4, 4), (1, 3, 2, 2), {"stride": 0}, "stride must be an int or 2 of them"),
        ((1, 3, 4, 4), (1, 3, 2, 2), {"dilation": (1, -1)}, "dilation must be an int or 2 of them"),
        ((1, 3, 4, 4), (1, 3, 2, 2), {"padding": "full"}, "padding by name"),
    ],
)
def test_conv2d_errors(x: Any, w: Any, options: dict[str, Any], message: str) -> None:
    bias = sg.ones(*options.pop("bias")) if "bias" in options else None
    with pytest.raises(ValueError, match=re.escape(message)):
        nn.conv2d(sg.ones(*x), sg.ones(*w), bias, **options)


def test_mixed_dtypes() -> None:
    with pytest.raises(TypeError, match="input has dtype float64 and weight float32"):
        nn.conv2d(sg.ones(1, 1, 2, 2, dtype=sg.float64), sg.ones(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("x", "w", "message"),
    [
        ((1, 1, 3, 3), (1, 1, 2), "input of shape (1, 1, 3, 3): expected (batch, channels, width)"),
        ((1, 1, 3), (1, 1, 2, 2), "weight of shape (1, 1, 2, 2): expected (out, in / groups, kernel width)"),
    ],
)
def test_conv1d_errors(x: Any, w: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        nn.conv1d(sg.ones(*x), sg.ones(*w))


# ------------------------------------------------------------------------------------------------------- the adjoint

F = nn.functional


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@settings(max_examples=50)
@given(st.data())
def test_transposed_convolution_is_the_adjoint(backend: str, data: st.DataObject) -> None:
    """The sum of conv(y) * x equals the sum of y * conv_transpose(x), for any y of the result's size."""
    kernel, stride = data.draw(st.tuples(*[st.integers(1, 3)] * 2)), data.draw(st.tuples(*[st.integers(1, 3)] * 2))
    dilation = data.draw(st.tuples(*[st.integers(1, 2)] * 2))
    more = tuple(data.draw(st.integers(0, s - 1)) for s in stride)
    padding = tuple((data.draw(st.integers(0, d * (k - 1))), 0) for k, d in zip(kernel, dilation, strict=True))
    groups = data.draw(st.integers(1, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = rng.standard_normal((2, 2 * groups, 3, 4)), rng.standard_normal((2 * groups, 3, *kernel))
    bias = rng.standard_normal(3 * groups)
    tensors = [sg.tensor(a, requires_grad=True, backend=backend) for a in (x, w, bias)]
    options: Any = {"stride": stride, "padding": padding, "groups": groups, "dilation": dilation}
    out = F.conv_transpose2d(*tensors, output_padding=more, **options)
    y = rng.standard_normal(out.shape)
    forward = loops(y, w.reshape(2 * groups, 3, *kernel), None, stride, padding, dilation, groups)  # type: ignore[arg-type]
    assert forward.shape == x.shape
    plain = out.detach().numpy() - bias[:, None, None]
    np.testing.assert_allclose((y * plain).sum(), (forward * x).sum(), rtol=1e-9, atol=1e-9)


def test_transposed_convolution_equals_pytorch() -> None:
    x, w = sg.tensor([[[[0.0, 1.0], [4.0, 5.0]]]]), sg.arange(8, dtype="float32").reshape(1, 2, 2, 2) - 3
    bias = sg.tensor([0.5, -1.0])
    found = F.conv_transpose2d(x, w, bias, stride=2, padding=1, output_padding=1, dilation=(1, 2))
    assert found.tolist() == [
        [
            [[0.5, -0.5, 0.5, 0.5], [0.5, -22.5, 0.5, -9.5], [0.5, -4.5, 0.5, 0.5]],
            [[-1.0, 2.0, -1.0, 3.0], [-1.0, 12.0, -1.0, 9.0], [-1.0, 30.0, -1.0, 19.0]],
        ]
    ]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        (((2, 2, 3, 2), (2, 3, 2, 3), (3,)), {"stride": (2, 1), "padding": 1, "output_padding": (1, 0)}),
        (((1, 4, 2, 2), (4, 1, 2, 2), (2,)), {"groups": 2, "dilation": 2, "output_padding": 1}),
    ],
)
def test_gradients_of_transposed_convolution(sizes: Any, options: Any, backend: str) -> None:
    rng = np.random.default_rng(0)
    operands = [sg.tensor(rng.standard_normal(size), requires_grad=True, backend=backend) for size in sizes]
    sg.grad_check(lambda *o: F.conv_transpose2d(*o, **options), *operands)

    def slope(x: sg.Tensor, w: sg.Tensor) -> sg.Tensor:
        out = F.conv_transpose2d(x, w, **options)
        first, second = sg.grad((out * out).sum(), [x, w], create_graph=True)
        return first.sum() + (second * second).sum()

    sg.grad_check(slope, *operands[:2])


def test_conv_transpose1d_equals_conv_transpose2d_of_height_1() -> None:
    x, w, bias = (sg.randn(*shape, generator=sg.Generator(0)) for shape in ((2, 4, 5), (4, 3, 3), (6,)))
    found = F.conv_transpose1d(x, w, bias, 2, 1, 1, 2, 2)
    flat = F.conv_transpose2d(x.unsqueeze(2), w.unsqueeze(2), bias, (1, 2), (0, 1), (0, 1), 2, (1, 2))
    assert found.tolist() == flat.squeeze(2).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, w: F.conv_transpose2d(x, w, output_padding=1),
            "output_padding (1, 1): expected 0 or more, and less",
        ),
        (lambda x, w: F.conv_transpose2d(x, w, padding=4), "gives an image of -2x-2: nothing is left"),
        (lambda x, w: F.conv_transpose2d(x, w[:1]), "expected as many input channels, which groups divides"),
        (lambda x, w: F.conv_transpose2d(x, w, groups=3), "groups 3: expected as many input channels"),
        (lambda x, w: F.conv_transpose2d(x, w, sg.ones(2)), "bias of shape (2,): expected (3,), one for each output"),
        (
            lambda x, w: F.conv_transpose2d(x[0], w),
            "input of shape (2, 4, 4): expected (batch, channels, height, width)",
        ),
        (lambda x, w: F.conv_transpose1d(x, w), "input of shape (1, 2, 4, 4): expected (batch, channels, width)"),
        (lambda x, w: F.conv_transpose1d(x[0], w[:, 0], stride=0), "stride must be an int or 1 of them"),
    ],
)
def test_errors_of_transposed_convolution(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(sg.ones(1, 2, 4, 4), sg.ones(2, 3, 3, 3))
