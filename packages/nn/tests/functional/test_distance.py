"""normalize, cosine_similarity and pairwise_distance: values of PyTorch 2.13, and gradients."""

import numpy as np
import pytest

from stackgrad.nn import functional as F
from stackgrad.tensor import Tensor, capture, grad_check, tensor, zeros

X = [[3.0, 4.0], [0.0, 0.0], [-1.0, 2.0]]
Y = [[1.0, 0.0], [1.0, 1.0], [2.0, -4.0]]


def test_normalize() -> None:
    x = tensor(X, dtype="float64", requires_grad=True)
    out = F.normalize(x)
    np.testing.assert_allclose(out.detach().numpy(), [[0.6, 0.8], [0, 0], [-0.4472136, 0.8944272]], rtol=1e-6)
    out[0, 0].backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.128, -0.096], [0, 0], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(
        F.normalize(tensor(X), p=1, dim=0).numpy(), [[0.75, 4 / 6], [0, 0], [-0.25, 2 / 6]], rtol=1e-6
    )
    with pytest.raises(TypeError, match="norm of int64"):
        F.normalize(tensor([[1, 2]]))


def test_cosine_similarity() -> None:
    found = F.cosine_similarity(tensor(X), tensor(Y))
    np.testing.assert_allclose(found.numpy(), [0.6, 0, -1], rtol=1e-6)
    assert F.cosine_similarity(zeros(2, 1, 3), zeros(4, 3), dim=-1).shape == (2, 4)


def test_axis_means_dim() -> None:
    x = tensor(X)
    for function in (F.normalize, lambda x, **names: F.cosine_similarity(x, tensor(Y), **names)):
        assert function(x, axis=0).tolist() == function(x, dim=0).tolist() != function(x).tolist()
        with pytest.raises(TypeError, match="both dim and axis"):
            function(x, dim=0, axis=0)


@pytest.mark.parametrize("given", [[[1.0]], None, np.ones((1, 1))])
def test_an_argument_that_is_not_a_tensor_is_named(given: object) -> None:
    with pytest.raises(TypeError, match=r"normalize: input: got .*, expected a tensor"):
        F.normalize(given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cosine_similarity: x2: got .*, expected a tensor"):
        F.cosine_similarity(tensor(X), given)  # type: ignore[arg-type]


def test_pairwise_distance() -> None:
    found = F.pairwise_distance(tensor(X), tensor(Y))
    np.testing.assert_allclose(found.numpy(), [4.472137, 1.4142121, 6.7082043], rtol=1e-5)
    assert F.pairwise_distance(tensor(X), tensor(Y), p=1, keepdim=True).shape == (3, 1)


@pytest.mark.parametrize("function", [F.cosine_similarity, F.pairwise_distance, lambda x, y: F.normalize(x) * y])
def test_gradients_and_captures(function: object) -> None:
    assert callable(function)
    rng = np.random.default_rng(0)
    x, y = (tensor(rng.normal(size=(3, 4))) for _ in range(2))
    grad_check(function, x, y)

    def step(x: Tensor, y: Tensor) -> Tensor:
        out: Tensor = function(x, y)
        return out

    captured, expected = capture(step), step(x, y).tolist()
    assert [captured(x, y).tolist() for _ in range(3)] == [expected] * 3
