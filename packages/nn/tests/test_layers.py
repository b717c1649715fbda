"""Layers: each calls its function with its own weights, and has a repr."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional


def image(*shape: int) -> sg.Tensor:
    return sg.randn(*shape, generator=sg.Generator(11))


@pytest.mark.parametrize(
    ("layer", "function", "shape"),
    [
        (nn.Linear(3, 2), lambda m, x: F.linear(x, m.weight, m.bias), (4, 3)),
        (nn.Linear(3, 2, bias=False), lambda m, x: F.linear(x, m.weight), (4, 5, 3)),
        (nn.Conv1d(4, 6, 3, 2, 1, 2, 2), lambda m, x: F.conv1d(x, m.weight, m.bias, 2, 1, 2, 2), (2, 4, 9)),
        (nn.Conv1d(2, 3, 4, activation="relu"), lambda m, x: F.conv1d(x, m.weight, m.bias).relu(), (2, 2, 9)),
        (nn.Conv2d(2, 3, 3, activation="relu"), lambda m, x: F.conv2d(x, m.weight, m.bias).relu(), (2, 2, 5, 5)),
        (nn.Linear(3, 2, activation="relu"), lambda m, x: F.linear(x, m.weight, m.bias).relu(), (4, 3)),
        (nn.Conv1d(2, 3, 4, padding="same"), lambda m, x: F.conv1d(x, m.weight, m.bias, padding="same"), (2, 2, 9)),
        (
            nn.Conv2d(4, 6, (3, 2), (2, 1), ((0, 1), (1, 2)), 2, 2, bias=False),
            lambda m, x: F.conv2d(x, m.weight, None, (2, 1), ((0, 1), (1, 2)), 2, 2),
            (2, 4, 9, 8),
        ),
        (
            nn.Conv1d(2, 3, 3, padding=2, padding_mode="circular"),
            lambda m, x: F.conv1d(F.pad(x, (2, 2), "circular"), m.weight, m.bias),
            (2, 2, 9),
        ),
        (
            nn.Conv2d(2, 3, (2, 3), padding="same", padding_mode="reflect", dilation=2),
            lambda m, x: F.conv2d(F.pad(x, (2, 2, 1, 1), "reflect"), m.weight, m.bias, dilation=2),
            (2, 2, 5, 6),
        ),
        (
            nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, dilation=2),
            lambda m, x: F.conv_transpose1d(x, m.weight, m.bias, 2, 1, 1, 2, 2),
            (2, 4, 5),
        ),
        (
            nn.ConvTranspose2d(4, 6, (3, 2), (2, 1), 1, groups=2, bias=False),
            lambda m, x: F.conv_transpose2d(x, m.weight, None, (2, 1), 1, groups=2),
            (2, 4, 5, 3),
        ),
        (nn.MaxPool1d(3, 2, 1, ceil_mode=True), lambda m, x: F.max_pool1d(x, 3, 2, 1, ceil_mode=True), (2, 1, 8)),
        (nn.MaxPool2d(2, 1, dilation=2), lambda m, x: F.max_pool2d(x, 2, 1, dilation=2), (2, 1, 7, 7)),
        (nn.AvgPool1d(3, 2, 1, True, False), lambda m, x: F.avg_pool1d(x, 3, 2, 1, True, False), (2, 1, 8)),
        (nn.AvgPool2d(2, divisor_override=3), lambda m, x: F.avg_pool2d(x, 2, divisor_override=3), (2, 1, 7, 7)),
        (nn.AdaptiveAvgPool1d(3), lambda m, x: F.adaptive_avg_pool1d(x, 3), (2, 1, 8)),
        (nn.AdaptiveAvgPool2d((3, None)), lambda m, x: F.adaptive_avg_pool2d(x, (3, None)), (2, 1, 7, 7)),
        (nn.Upsample(scale_factor=2.0), lambda m, x: F.interpolate(x, scale_factor=2.0), (2, 1, 3, 4)),
        (nn.Upsample((4, 5), mode="bilinear"), lambda m, x: F.interpolate(x, (4, 5), mode="bilinear"), (2, 1, 3, 4)),
        (nn.MaxPool2d(3, 2, 1), lambda m, x: F.max_pool2d(x, 3, 2, 1), (2, 1, 7, 7)),
        (nn.AvgPool2d((2, 3)), lambda m, x: F.avg_pool2d(x, (2, 3)), (2, 1, 7, 7)),
        (nn.ReLU(), lambda m, x: F.relu(x), (3, 4)),
        (nn.Sigmoid(), lambda m, x: F.sigmoid(x), (3, 4)),
        (nn.Tanh(), lambda m, x: F.tanh(x), (3, 4)),
        (nn.Softmax(0), lambda m, x: F.softmax(x, 0), (3, 4)),
        (nn.LogSoftmax(), lambda m, x: F.log_softmax(x, 1), (3, 4)),
        (nn.GELU("tanh"), lambda m, x: F.gelu(x, "tanh"), (3, 4)),
        (nn.SiLU(), lambda m, x: F.silu(x), (3, 4)),
        (nn.Mish(), lambda m, x: F.mish(x), (3, 4)),
        (nn.LeakyReLU(0.3), lambda m, x: F.leaky_relu(x, 0.3), (3, 4)),
        (nn.ELU(0.5), lambda m, x: F.elu(x, 0.5), (3, 4)),
        (nn.Softplus(2.0, 1.0), lambda m, x: F.softplus(x, 2.0, 1.0), (3, 4)),
        (nn.LogSigmoid(), lambda m, x: F.logsigmoid(x), (3, 4)),
        (nn.Hardtanh(-0.5, 0.3), lambda m, x: F.hardtanh(x, -0.5, 0.3), (3, 4)),
        (nn.LayerNorm((3, 4), 1e-2), lambda m, x: F.layer_norm(x, (3, 4), m.weight, m.bias, 1e-2), (2, 3, 4)),
        (nn.LayerNorm(4, elementwise_affine=False), lambda m, x: F.layer_norm(x, 4), (2, 4)),
        (nn.LayerNorm(4, bias=False), lambda m, x: F.layer_norm(x, 4, m.weight), (2, 4)),
        (nn.GroupNorm(2, 4, 1e-2), lambda m, x: F.group_norm(x, 2, m.weight, m.bias, 1e-2), (3, 4, 2)),
        (nn.GroupNorm(2, 4, affine=False), lambda m, x: F.group_norm(x, 2), (3, 4, 2)),
        (nn.Identity(3, anything=True), lambda m, x: x, (3, 4)),
        (nn.Unflatten(1, (2, 3)), lambda m, x: x.reshape(2, 2, 3, 4), (2, 6, 4)),
        (nn.Unflatten(-1, (-1, 2)), lambda m, x: x.reshape(2, 6, 2, 2), (2, 6, 4)),
        (nn.Flatten(), lambda m, x: x.reshape(2, 12), (2, 3, 4)),
        (nn.Flatten(0, 1), lambda m, x: x.reshape(6, 4), (2, 3, 4)),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else None,
)
def test_a_layer_equals_its_function(
    layer: nn.Module, function: Callable[..., sg.Tensor], shape: tuple[int, ...]
) -> None:
    x = image(*shape)
    np.testing.assert_array_equal(layer(x).detach().numpy(), function(layer, x).detach().numpy())


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Linear(3, 2), "Linear(3, 2)"),
        (nn.Conv1d(2, 4, 3), "Conv1d(2, 4, kernel_size=(3,))"),
        (
            nn.Conv2d(2, 4, 3, 2, "valid", 2, 2, bias=False),
            "Conv2d(2, 4, kernel_size=(3, 3), stride=(2, 2), dilation=(2, 2), groups=2, bias=False)",
        ),
        (nn.Conv2d(2, 4, 4, padding="same"), "Conv2d(2, 4, kernel_size=(4, 4), padding=((1, 2), (1, 2)))"),
        (nn.Conv2d(2, 4, 3, activation="relu"), "Conv2d(2, 4, kernel_size=(3, 3), activation='relu')"),
        (nn.Linear(3, 2, bias=False, activation="relu"), "Linear(3, 2, bias=False, activation='relu')"),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=(2, 2))"),
        (nn.AvgPool2d(2, 1, 1), "AvgPool2d(kernel_size=(2, 2), stride=(1, 1), padding=((1, 1), (1, 1)))"),
        (nn.Softmax(1), "Softmax(dim=1)"),
        (
            nn.Conv1d(2, 4, 3, padding=1, padding_mode="reflect"),
            "Conv1d(2, 4, kernel_size=(3,), padding=((1, 1),), padding_mode='reflect')",
        ),
        (
            nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, 2, False, 2),
            "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1)), output_padding=(1, 1), "
            "dilation=(2, 2), groups=2, bias=False)",
        ),
        (nn.MaxPool1d(2, dilation=2, ceil_mode=True), "MaxPool1d(kernel_size=(2,), ceil_mode=True, dilation=(2,))"),
        (nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=1)"),
        (nn.Upsample(scale_factor=2), "Upsample(scale_factor=2, mode='nearest')"),
        (nn.Upsample(7, mode="linear"), "Upsample(size=7, mode='linear')"),
        (nn.Dropout(0.25), "Dropout(p=0.25)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.BatchNorm2d(3), "BatchNorm2d(3, eps=1e-05, momentum=0.1)"),
        (nn.BatchNorm1d(3, activation="relu"), "BatchNorm1d(3, eps=1e-05, momentum=0.1, activation='relu')"),
        (nn.Sequential(), "Sequential()"),
        (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
        (nn.GELU(), "GELU(approximate='none')"),
        (nn.LeakyReLU(0.2, inplace=True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
        (nn.ELU(), "ELU(alpha=1.0)"),
        (nn.Hardtanh(0.0, 6.0), "Hardtanh(min_val=0.0, max_val=6.0)"),
        (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
        (nn.Dropout2d(0.25), "Dropout2d(p=0.25)"),
        (nn.Embedding(5, 3, -1), "Embedding(5, 3, padding_idx=4)"),
        (nn.LayerNorm(3, bias=False), "LayerNorm((3,), eps=1e-05, bias=False)"),
        (nn.LayerNorm((3, 4), elementwise_affine=False), "LayerNorm((3, 4), eps=1e-05, elementwise_affine=False)"),
        (nn.GroupNorm(2, 4, affine=False), "GroupNorm(2, 4, eps=1e-05, affine=False)"),
        (nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    ],
)
def test_repr(layer: nn.Module, expected: str) -> None:
    assert repr(layer) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(3, 2, activation="tanh"),  # type: ignore[arg-type]
        lambda: nn.Conv1d(3, 2, 1, activation="tanh"),  # type: ignore[arg-type]
        lambda: nn.BatchNorm2d(3, activation="tanh"),  # type: ignore[arg-type]
        lambda: F.linear(image(1, 3), image(2, 3), None, "tanh"),  # type: ignore[arg-type]
    ],
)
def test_an_unknown_activation_is_named(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="activation must be \"relu\" or None; got 'tanh'"):
        make()


def test_dropout_acts_only_in_training() -> None:
    x = sg.ones(10, 10)
    layer = nn.Dropout(0.5, generator=sg.Generator(1))
    first = layer(x).tolist()
    assert first == F.dropout(x, 0.5, generator=sg.Generator(1)).tolist()
    assert layer(x).tolist() != first
    assert layer.eval()(x) is x


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.BatchNorm1d(3), (6, 3)), (nn.BatchNorm1d(3), (4, 3, 5)), (nn.BatchNorm2d(3), (4, 3, 5, 2))],
)
def test_batch_norm_learns_the_statistics(layer: nn.BatchNorm1d | nn.BatchNorm2d, shape: tuple[int, ...]) -> None:
    x = image(*shape) * 3 + 5
    axes = (0, *range(2, x.ndim))
    out = layer(x).detach().numpy()
    np.testing.assert_allclose(out.mean(axes), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(out.var(axes), np.ones(3), rtol=1e-3)
    for _ in range(100):
        layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), x.numpy().mean(axes), rtol=1e-3)
    np.testing.assert_allclose(layer.running_var.numpy(), x.numpy().var(axes, ddof=1), rtol=1e-3)
    before = layer.running_mean.tolist()
    layer.eval()(x)
    assert layer.running_mean.tolist() == before
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var"]


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_with_an_activation(training: bool) -> None:
    x = image(4, 3, 5, 2)
    plain, with_relu = nn.BatchNorm2d(3).train(training), nn.BatchNorm2d(3, activation="relu").train(training)
    np.testing.assert_array_equal(with_relu(x).detach().numpy(), plain(x).relu().detach().numpy())
    assert with_relu.running_mean.tolist() == plain.running_mean.tolist()


def test_sequential() -> None:
    relu = nn.ReLU()
    layers = nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 3), relu)
    assert len(layers) == 4
    assert layers[1] is layers[-1] is relu
    assert list(layers.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = image(4, 2)
    expected = layers[2](layers[0](x).relu()).relu()
    np.testing.assert_array_equal(layers(x).detach().numpy(), expected.detach().numpy())
    assert nn.Sequential()(x) is x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 3), "at least one input and one output feature; got 0 and 3"),
        (lambda: nn.Conv2d(3, 4, 2, groups=2), "in_channels 3 and out_channels 4 must be positive multiples of groups"),
        (lambda: nn.Conv1d(0, 4, 2), "in_channels 0 and out_channels 4"),
        (lambda: nn.Conv2d(1, 1, (3, 0)), "kernel_size must be an int or 2 of them"),
        (lambda: nn.Conv1d(1, 1, 3, stride=(1, 1)), "stride must be an int or 1 of them"),
        (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), 'padding "same" needs stride 1; got stride (2, 2)'),
        (lambda: nn.MaxPool2d("3"), "kernel_size must be an int or 2 of them"),  # type: ignore[arg-type]
        (lambda: nn.Dropout(1.5), "dropout: p must be between 0 and 1; got 1.5"),
        (lambda: nn.BatchNorm2d(0), "BatchNorm2d needs at least one channel; got 0"),
        (lambda: nn.BatchNorm2d(2)(sg.ones(3, 2)), "BatchNorm2d takes an input of 4 dimensions; got shape (3, 2)"),
        (lambda: nn.BatchNorm1d(2)(sg.ones(3)), "BatchNorm1d takes an input of 2 or 3 dimensions; got shape (3,)"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), "padding_mode must be"),  # type: ignore[arg-type]
        (lambda: nn.ConvTranspose2d(3, 4, 2, groups=2), "in_channels 3 and out_channels 4 must be positive multiples"),
        (lambda: nn.Embedding(0, 3), "at least one row and column; got 0 and 3"),
        (lambda: nn.LayerNorm(()), "LayerNorm: normalized_shape () is empty"),
        (lambda: nn.GroupNorm(2, 3), "num_groups 2 does not divide num_channels 3"),
        (lambda: nn.GELU("exact"), "approximate must be"),  # type: ignore[arg-type]
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val must be below max_val; got 1.0 and 1.0"),
        (lambda: nn.Unflatten(1, (2, 2))(sg.ones(2, 6)), "dim 1 of shape (2, 6) does not split into the sizes (2, 2)"),
        (
            lambda: nn.Unflatten(1, (-1, -1))(sg.ones(2, 6)),
            "dim 1 of shape (2, 6) does not split into the sizes (-1, -1)",
        ),
        (lambda: nn.Linear(3, 2)(sg.ones(4, 5)), "input of shape (4, 5) and weight of shape (2, 3)"),
    ],
)
def test_errors(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_sequential_rejects_other_objects() -> None:
    with pytest.raises(TypeError, match="argument 1 of Sequential must be a Module; got function"):
        nn.Sequential(nn.ReLU(), lambda x: x)  # type: ignore[arg-type]


LAYERS: list[tuple[Callable[..., nn.Module], tuple[int, ...]]] = [
    (lambda **dtype: nn.Linear(3, 2, **dtype), (4, 3)),
    (lambda **dtype: nn.Linear(3, 2, activation="relu", **dtype), (4, 3)),
    (lambda **dtype: nn.Conv1d(2, 4, 3, 2, 1, groups=2, **dtype), (2, 2, 7)),
    (lambda **dtype: nn.Conv2d(2, 3, (2, 3), padding="same", **dtype), (2, 2, 4, 4)),
    (lambda **dtype: nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, groups=2, **dtype), (2, 2, 4)),
    (lambda **dtype: nn.ConvTranspose2d(2, 3, (2, 3), 2, **dtype), (2, 2, 3, 2)),
    (lambda **dtype: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", **dtype), (2, 2, 4, 4)),
    (lambda **dtype: nn.BatchNorm1d(3, **dtype), (4, 3)),
    (lambda **dtype: nn.LayerNorm(3, **dtype), (4, 3)),
    (lambda **dtype: nn.GroupNorm(2, 4, **dtype), (2, 4, 3)),
    (lambda **dtype: nn.BatchNorm2d(2, **dtype), (2, 2, 3, 3)),
    (lambda **dtype: nn.BatchNorm2d(2, activation="relu", **dtype).eval(), (2, 2, 3, 3)),
]


@pytest.mark.parametrize("by", ["dtype", "astype"])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_float64_layers(make: Callable[..., nn.Module], shape: tuple[int, ...], by: str) -> None:
    layer = make(dtype="float64") if by == "dtype" else make().astype("float64")
    assert {tensor.dtype for tensor in layer.state_dict().values()} == {np.dtype(np.float64)}
    sg.grad_check(layer, image(*shape))
    with pytest.raises(TypeError, match=r"input has dtype float32 and .* float64: expected the same; use .astype"):
        layer(image(*shape))


def test_grad_check_of_a_custom_layer() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            self.layers = {"in": nn.Linear(3, 4, dtype=sg.float64), "norm": nn.BatchNorm1d(4, dtype=sg.float64)}
            self.scale = nn.Parameter(nn.init.normal((4,), 1.0, dtype=sg.float64))

        def forward(self, input: sg.Tensor) -> sg.Tensor:
            self.kept = self.layers["norm"](self.layers["in"](input)).tanh()
            return self.kept * self.scale

    sg.grad_check(Own(), image(5, 3))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integer_layers_are_rejected(dtype: str) -> None:
    for make, _ in LAYERS:
        with pytest.raises(TypeError, match="expected float32 or float64"):
            make(dtype=dtype)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        *((make(), shape) for make, shape in LAYERS),
        (nn.MaxPool2d(2), (1, 1, 4, 4)),
        (nn.AvgPool2d(2), (1, 1, 4, 4)),
        *((layer, (2, 3)) for layer in (nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(), nn.LogSoftmax())),
        *((layer, (2, 3)) for layer in (nn.Flatten(), nn.Dropout(), nn.Dropout().eval())),
    ],
    ids=repr,
)
def test_an_argument_that_is_not_a_tensor(layer: nn.Module, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, np.float32)
    with pytest.raises(
        TypeError, match=r"input: got a NumPy array, expected a tensor; use tensor\(...\) or from_numpy\(...\)$"
    ):
        layer(array)
    with pytest.raises(TypeError, match=r"input: got list, expected a tensor; use tensor\(...\)$"):
        layer(array.tolist())


def test_embedding_starts_normal_with_zeros_at_the_padding() -> None:
    layer = nn.Embedding(200, 50, padding_idx=3, generator=sg.Generator(0))
    weight = layer.weight.detach().numpy()
    assert not weight[3].any()
    others = np.delete(weight, 3, 0)
    assert abs(others.mean()) < 0.03
    assert abs(others.std() - 1) < 0.03
    layer(sg.tensor([[3, 1]])).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad[:4].sum(1).tolist() == [0.0, 50.0, 0.0, 0.0]
    table = sg.tensor([[1.0, 2.0], [3.0, 4.0]])
    fixed = nn.Embedding.from_pretrained(table)
    assert fixed(sg.tensor([1])).tolist() == [[3.0, 4.0]]
    assert not fixed.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


@pytest.mark.parametrize(
    ("layer", "sizes"),
    [
        (nn.Linear(2, 3), {"in_features": 2, "out_features": 3}),
        (nn.Conv2d(2, 4, 3, groups=2), {"in_channels": 2, "out_channels": 4, "kernel_size": (3, 3)}),
        (nn.ConvTranspose1d(4, 2, 5, groups=2), {"in_channels": 4, "out_channels": 2, "kernel_size": (5,)}),
        (nn.BatchNorm1d(3), {"num_features": 3}),
        (nn.Embedding(5, 2), {"num_embeddings": 5, "embedding_dim": 2}),
    ],
)
def test_layers_report_their_sizes(layer: nn.Module, sizes: dict[str, object]) -> None:
    assert {name: getattr(layer, name) for name in sizes} == sizes


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_without_scale_and_shift(training: bool) -> None:
    plain, scaled = nn.BatchNorm1d(3, affine=False).train(training), nn.BatchNorm1d(3).train(training)
    x = image(4, 3)

    assert list(plain.state_dict()) == ["running_mean", "running_var"]
    assert plain.weight is plain.bias is None
    np.testing.assert_array_equal(plain(x).numpy(), scaled(x).detach().numpy())
    assert plain.running_var.tolist() == scaled.running_var.tolist()


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Dropout, (4, 3)), (nn.Dropout1d, (4, 3, 2)), (nn.Dropout2d, (4, 3, 2, 2))]
)
def test_dropout_in_place(layer: Callable[..., nn.Module], shape: tuple[int, ...]) -> None:
    x = sg.ones(*shape, requires_grad=True)
    y = x * 2

    out = layer(0.5, inplace=True, generator=sg.Generator(1))(y)
    out.sum().backward()

    assert out is y
    np.testing.assert_array_equal(out.detach().numpy(), x.grad.numpy())
    expected = layer(0.5, generator=sg.Generator(1))(sg.full(shape, 2.0))
    np.testing.assert_array_equal(out.detach().numpy(), expected.numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: nn.Linear(n, 2), "Linear: in_features"),
        (lambda n: nn.Embedding(3, n), "Embedding: embedding_dim"),
        (lambda n: nn.Conv2d(1, n, 3), "convolution: out_channels"),
        (lambda n: nn.ConvTranspose1d(n, 1, 3), "convolution: in_channels"),
        (lambda n: nn.BatchNorm1d(n), "BatchNorm1d: num_features"),
        (lambda n: nn.GroupNorm(n, 4), "GroupNorm: num_groups"),
        (lambda n: nn.LSTM(n, 4), "LSTM: input_size"),
        (lambda n: nn.RNN(4, 4, n), "RNN: num_layers"),
        (lambda n: nn.GRUCell(4, n), "GRUCell: hidden_size"),
        (lambda n: nn.MultiheadAttention(8, n), "MultiheadAttention: num_heads"),
    ],
)
@pytest.mark.parametrize("given", ["4", 2.0, None])
def test_a_size_is_an_integer(make, message, given):
    with pytest.raises(TypeError, match=f"{message} must be an int; got {type(given).__name__}"):
        make(given)
