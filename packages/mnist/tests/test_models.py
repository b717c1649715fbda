from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, ConvNet, Course, Dataset, LeNet5, Split, make_model, normalise
from stackgrad.mnist.training.evaluate import count_correct, probabilities
from stackgrad.mnist.training.recipes import Recipe
from stackgrad.mnist.training.steps import Training
from stackgrad.tensor import Generator, capture, from_numpy, set_default_backend

# Counts of weights and biases, layer by layer.
LENET5 = [6 * 25 + 6, 16 * 6 * 25 + 16, 400 * 120 + 120, 120 * 84 + 84, 84 * 10 + 10]
COURSE = [4 * 9 + 4, 8 * 4 * 9 + 8, 392 * 64 + 64, 64 * 10 + 10]


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_normalise_equals_the_formula(backend: str) -> None:
    images = np.arange(256, dtype=np.uint8).repeat(49).reshape(-1, 28, 28)
    got = normalise(images, backend)
    assert (got.shape, got.backend.name) == ((16, 1, 28, 28), backend)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy()[:, 0], (images / 255 - 0.1307) / 0.3081, atol=2e-7)
    for mixed in (np.random.default_rng(0).permutation(images.reshape(-1)).reshape(images.shape), images[:0]):
        for view in (mixed, mixed[::-2], mixed[:, :, ::-1], mixed.transpose(0, 2, 1)):
            expected = (view / 255 - 0.1307) / 0.3081
            np.testing.assert_allclose(normalise(view, backend).numpy()[:, 0], expected, atol=2e-7)


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_a_captured_function_normalises_the_images_of_each_index(backend: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28)).astype(np.uint8)
    pick = capture(lambda index: normalise(images, index=index))
    for index in np.random.default_rng(1).integers(0, 9, (5, 4)):
        got = pick(from_numpy(index, backend=backend))
        assert (got.shape, got.backend.name) == ((4, 1, 28, 28), backend)
        assert np.array_equal(got.numpy(), normalise(images, backend, index).numpy())
    with pytest.raises(IndexError):
        pick(from_numpy(np.array([0, 1, 2, 9]), backend=backend))


def test_normalised_mnist_has_mean_0_and_variance_1(mnist: Dataset) -> None:
    values = normalise(mnist.train.images[:20_000]).numpy()
    assert abs(values.mean(dtype=np.float64)) < 0.01
    assert abs(values.std(dtype=np.float64) - 1) < 0.01


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), r"must be uint8 \(n, 28, 28\), not float32 \(2, 28, 28\)"),
        (np.zeros((2, 28, 28), np.int64), r"not int64 \(2, 28, 28\)"),
        (np.zeros((2, 784), np.uint8), r"not uint8 \(2, 784\)"),
        (np.zeros((28, 28), np.uint8), r"not uint8 \(28, 28\)"),
        (np.zeros((2, 32, 32), np.uint8), r"not uint8 \(2, 32, 32\)"),
    ],
)
def test_normalise_refuses_other_dtypes_and_shapes(images: npt.NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        normalise(images)


@pytest.mark.parametrize(("name", "counts"), [("lenet5", LENET5), ("course", COURSE)])
def test_parameters(name: str, counts: list[int]) -> None:
    sizes = [parameter.size for parameter in make_model(name).parameters()]
    assert [weight + bias for weight, bias in zip(sizes[::2], sizes[1::2], strict=True)] == counts


def test_convnet_has_70586_parameters() -> None:
    convolutions = [16 * 25, 32 * 16 * 9, 32 * 32 * 9, 64 * 32 * 9, 64 * 64 * 9]
    normalisations = [2 * 16, 2 * 32, 2 * 32, 2 * 64, 2 * 64]
    expected = sum(convolutions) + sum(normalisations) + 64 * 10 + 10
    assert sum(parameter.size for parameter in make_model("convnet").parameters()) == expected == 70_586


def test_lenet5_has_61706_parameters() -> None:
    assert sum(parameter.size for parameter in make_model("lenet5").parameters()) == sum(LENET5) == 61_706


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_shapes(name: str, backend: str, mnist: Dataset) -> None:
    set_default_backend(backend)
    for count in (1, 3):
        output = make_model(name)(normalise(mnist.test.images[:count]))
        assert (output.shape, output.backend.name) == ((count, 10), backend)
        assert output.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_27_classes(name: str, mnist: Dataset) -> None:
    model, usual = make_model(name, classes=27), make_model(name)
    assert model(normalise(mnist.test.images[:2])).shape == (2, 27)
    wider = {key: tensor.shape for key, tensor in model.state_dict().items() if tensor.shape[0] == 27}
    assert len(wider) == 2
    assert len(model.state_dict()) == len(usual.state_dict())


def test_the_layers_of_lenet5(mnist: Dataset) -> None:
    model = LeNet5()
    x = normalise(mnist.test.images[:2])
    shapes = []
    for layer in (*model.features.children(), *model.classifier.children()):
        x = layer(x)
        activation = getattr(layer, "activation", None)
        shapes.append((f"{type(layer).__name__} {activation or ''}".strip(), x.shape[1:]))
    assert shapes == [
        ("Conv2d relu", (6, 28, 28)),
        ("MaxPool2d", (6, 14, 14)),
        ("Conv2d relu", (16, 10, 10)),
        ("MaxPool2d", (16, 5, 5)),
        ("Flatten", (400,)),
        ("Linear relu", (120,)),
        ("Linear relu", (84,)),
        ("Linear", (10,)),
    ]


def test_convnet_normalises_after_each_convolution(mnist: Dataset) -> None:
    model, x, shapes = ConvNet(), normalise(mnist.test.images[:2]), []
    for layer in (*model.features.children(), *model.classifier.children()):
        x = layer(x)
        shapes.append((type(layer).__name__, getattr(layer, "activation", None), x.shape[1:]))
    assert shapes == [
        ("Conv2d", None, (16, 28, 28)),
        ("BatchNorm2d", "relu", (16, 28, 28)),
        ("MaxPool2d", None, (16, 14, 14)),
        ("Conv2d", None, (32, 14, 14)),
        ("BatchNorm2d", "relu", (32, 14, 14)),
        ("Conv2d", None, (32, 14, 14)),
        ("BatchNorm2d", "relu", (32, 14, 14)),
        ("MaxPool2d", None, (32, 7, 7)),
        ("Conv2d", None, (64, 7, 7)),
        ("BatchNorm2d", "relu", (64, 7, 7)),
        ("Conv2d", None, (64, 7, 7)),
        ("BatchNorm2d", "relu", (64, 7, 7)),
        ("AvgPool2d", None, (64, 1, 1)),
        ("Flatten", None, (64,)),
        ("Linear", None, (10,)),
    ]


def test_course_keeps_the_activations_of_its_convolutions(mnist: Dataset) -> None:
    model = Course()
    assert model.mid is None
    assert model.out is None
    x = normalise(mnist.test.images[:3])
    model(x)
    assert model.mid is not None
    assert model.out is not None
    assert (model.mid.shape, model.out.shape) == ((3, 4, 28, 28), (3, 8, 28, 28))
    np.testing.assert_array_equal(model.mid.numpy(), model.conv1(x).relu().detach().numpy())
    np.testing.assert_array_equal(model.out.numpy(), model.conv2(model.mid).relu().detach().numpy())
    assert not model.mid.requires_grad
    assert not {"mid", "out"} & model.state_dict().keys()  # not saved


def test_course_returns_log_probabilities(mnist: Dataset) -> None:
    output = Course()(normalise(mnist.test.images[:5])).detach().numpy()
    np.testing.assert_allclose(np.exp(output.astype(np.float64)).sum(axis=1), 1, atol=1e-6)
    assert (output < 0).all()


def test_course_uses_dropout_only_in_training(mnist: Dataset) -> None:
    model, x = Course(generator=Generator(1)), normalise(mnist.test.images[:5])
    a, b = (model.train()(x).detach().numpy() for _ in range(2))
    assert (a != b).any()
    a, b = (model.eval()(x).detach().numpy() for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_determines_the_initial_weights_on_any_backend(name: str) -> None:
    def weights(seed: int, backend: str) -> list[npt.NDArray[Any]]:
        set_default_backend(backend)
        return [parameter.detach().numpy() for parameter in make_model(name, generator=Generator(seed)).parameters()]

    for ours, theirs, others in zip(weights(3, "numpy"), weights(3, "cpu"), weights(4, "numpy"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        # A normalisation starts with ones and zeros, whatever the seed.
        assert (ours != others).any() or np.unique(ours).tolist() in ([0.0], [1.0])


@pytest.mark.parametrize("name", MODELS)
def test_loss_is_the_mean_negative_log_probability_of_the_label(name: str, mnist: Dataset) -> None:
    model, labels = make_model(name).eval(), mnist.test.labels[:6].astype(np.int64)
    output = model(normalise(mnist.test.images[:6]))
    expected = nn.softmax(output, 1).detach().numpy().astype(np.float64)
    got = model.loss(output, from_numpy(labels)).item()
    assert got == pytest.approx(-np.log(expected[np.arange(6), labels]).mean(), rel=1e-5)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="unknown model 'lenet': expected one of lenet5, course, convnet"):
        make_model("lenet")


@pytest.mark.parametrize("name", MODELS)
def test_memorises_32_images(name: str, mnist: Dataset) -> None:
    set_default_backend("cpu")
    split = Split(mnist.train.images[:32], mnist.train.labels[:32])
    generator = Generator(0)
    model = make_model(name, generator=generator)
    losses = [step.loss for step in Training(model, split, Recipe(60, 32, 0.01, 0.0), generator).steps()]
    assert losses[0] > 1.5
    assert count_correct(model, split) == 32
    assert probabilities(model, split.images)[np.arange(32), split.labels].min() > 0.9
