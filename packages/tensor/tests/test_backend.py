"""What the base class composes of the abstract primitives."""

from typing import Any

import numpy as np
import pytest

from stackgrad.tensor import Backend, NumpyBackend, get_backend


def test_the_abstract_primitives_are_required():
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (Backend,), {"name": "empty"})()


COMPOSED = (
    "linear",
    "conv2d_grads",
    "softmax_grad",
    "log_softmax_grad",
    "batch_norm",
    "batch_norm_grad",
    "dropout",
)


@pytest.mark.parametrize("name", COMPOSED)
def test_fused_primitives_have_a_composed_default(name):
    assert name not in Backend.__abstractmethods__
    assert getattr(NumpyBackend, name) is getattr(Backend, name)


def test_views_of_host_arrays():
    backend = get_backend("numpy")
    a = np.arange(6.0).reshape(2, 3)
    assert backend.from_numpy(a) is backend.to_numpy(a) is a
    views: list[Any] = [
        backend.permute(a, (1, 0)),
        backend.slice(a, (1,)),
        backend.slice(a, (1, 2)),
        backend.slice(a, (slice(None), None)),
        backend.reshape(a, (3, 2)),
        backend.expand(a, (4, 2, 3)),
    ]
    for view in views:
        assert backend.shares_memory(view, a)
    assert views[2].shape == ()
    assert not backend.shares_memory(backend.reshape(a.T, (6,)), a)
    assert backend.is_contiguous(a)
    assert not backend.is_contiguous(a.T)


def test_expand_repeats_without_memory():
    backend = get_backend("numpy")
    out = backend.expand(np.ones((3, 1)), (2, 3, 5))
    assert out.strides == (0, 8, 0)
    assert out.sum() == 30


def test_arrays_pass_through_a_host_buffer():
    backend = get_backend("numpy")
    buffer = backend.host_buffer((2, 3), np.dtype("float64"))
    array = np.arange(6.0).reshape(2, 3)
    buffer.download(array)
    assert buffer.values is not array
    assert buffer.values.tolist() == array.tolist()
    buffer.values *= 2
    buffer.upload(array)
    assert array.tolist() == [[0, 2, 4], [6, 8, 10]]
