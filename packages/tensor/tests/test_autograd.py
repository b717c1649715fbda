"""What is recorded: the mode, and what may require a gradient."""

import pytest

from stackgrad.tensor import is_recording, no_grad, tensor

# --- no_grad


def test_no_grad_as_context_and_decorator():
    x = tensor([1.0], requires_grad=True)

    @no_grad()
    def double(x):
        assert not is_recording()
        return x * 2

    assert is_recording()
    with no_grad():
        assert not (x * 2).requires_grad
        with no_grad():
            pass
        assert not is_recording()
    assert not double(x).requires_grad
    assert not double(x).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert is_recording()


def test_a_leaf_made_under_no_grad_still_records_later():
    with no_grad():
        x = tensor([1.0], requires_grad=True)
    assert (x * 2).requires_grad


# --- requires_grad


def test_requires_grad_can_be_set_on_leaves_of_float_dtypes():
    x = tensor([1.0])
    x.requires_grad = True
    assert (x * 2).requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad
    assert x.requires_grad_() is x
    with pytest.raises(TypeError, match="a tensor of dtype int64 has no gradient: expected float32 or float64"):
        tensor([1]).requires_grad = True
    with pytest.raises(TypeError, match="a tensor of dtype bool has no gradient"):
        tensor([True], requires_grad=True)


def test_a_computed_tensor_keeps_requires_grad():
    y = tensor([1.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"was computed and has a history: use .detach\(\)"):
        y.requires_grad = False
