"""What backward adds to leaves, keeps, frees and refuses, and the gradients of `grad`."""

import numpy as np
import pytest

from stackgrad.tensor import (
    Function,
    NumpyBackend,
    concatenate,
    grad,
    grad_check,
    no_grad,
    ones,
    rand,
    stack,
    tensor,
    zeros,
)


def leaf(*values, dtype="float64"):
    return tensor(list(values), dtype=dtype, requires_grad=True)


def shares_memory(*tensors):
    arrays = [x.detach().numpy() for x in tensors]
    return any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


class Other(NumpyBackend):
    name = "other"


OTHER = Other()


# --- results of backward


def test_gradients_accumulate_over_paths_and_passes():
    x = leaf(1.0, 2.0)
    y = x * x + x * 3
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [7.0, 9.0]
    assert x.grad.dtype == x.dtype
    assert not x.grad.requires_grad


def test_a_gradient_weights_the_elements():
    x = leaf(1.0, 2.0)
    (x * x).backward(tensor([1.0, 10.0], dtype="float64"))
    assert x.grad.tolist() == [2.0, 40.0]


def test_a_leaf_is_its_own_graph():
    x = tensor(2.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_a_diamond_is_walked_once():
    calls = []

    class Count(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(g.item())
            return g * 2

    x = tensor(1.0, requires_grad=True)
    y = Count.apply(x)
    (y * 3 + y * 4 + y).backward()
    assert calls == [8.0]
    assert x.grad.item() == 16.0


def test_only_tensors_that_require_a_gradient_get_one():
    x, w = leaf(1.0), tensor([2.0], dtype="float64")
    (x * w).sum().backward()
    assert w.grad is None
    assert x.grad.tolist() == [2.0]
    y = x.detach() * 3
    assert not y.requires_grad
    assert y.is_leaf
    assert not (x * 2).is_leaf


@pytest.mark.parametrize(
    "function", [lambda x: x > 0, lambda x: x.argmax(), lambda x: x.astype("int64"), lambda x: ~(x == 1)]
)
def test_operations_with_other_dtypes_are_not_recorded(function):
    out = function(leaf(1.0, -2.0))
    assert not out.requires_grad
    assert out.is_leaf
    out.numpy()


def test_a_cast_between_floats_passes_the_gradient():
    x = leaf(1.0, 2.0, dtype="float32")
    (x.astype("float64") * tensor([0.1, 0.2], dtype="float64")).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.numpy(), [0.1, 0.2], rtol=1e-6)


def test_a_large_fan_out():
    x = leaf(1.0)
    sum((x * i for i in range(1000)), x).backward()
    assert x.grad.item() == 1 + sum(range(1000))


def test_a_gradient_flows_from_backend_to_backend():
    x = leaf(1.0, 2.0)
    y = x.to(OTHER)
    assert y.backend is OTHER
    (y * y).sum().to("numpy").backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert x.grad.backend is x.backend


# --- grad()


def test_grad_leaves_grad_alone():
    x, y = leaf(2.0), leaf(3.0)
    gx, gy = grad((x * y).sum(), [x, y])
    assert (gx.item(), gy.item()) == (3.0, 2.0)
    assert x.grad is None
    assert y.grad is None


def test_grad_of_a_computed_tensor():
    x = leaf(2.0)
    y = x * x
    z = (y * y).sum()
    gy, gx = grad(z, [y, x], retain_graph=True)
    assert gy.item() == 8.0
    assert gx.item() == 32.0
    assert grad(z, z)[0].item() == 1.0


def test_grad_of_several_outputs_with_weights():
    x = leaf(1.0, 2.0)
    outs = [x * 2, (x * x).sum()]
    (found,) = grad(outs, x, [tensor([1.0, 10.0], dtype="float64"), None])
    assert found.tolist() == [4.0, 24.0]


def test_grad_refuses_an_input_that_took_no_part():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match=r"inputs\[1\] of shape \(1,\) was not used to compute the outputs"):
        grad((x * 2).sum(), [x, y])
    with pytest.raises(RuntimeError, match=r"inputs\[0\] of shape \(2,\) was not used to compute the outputs, or"):
        grad((x * 2).sum(), tensor([1.0, 2.0]))


def test_grad_requires_a_weight_for_each_output():
    x = leaf(1.0)
    with pytest.raises(ValueError, match="1 gradients for 2 outputs: expected one for each"):
        grad([x * 2, x * 3], x, [None])


def test_gradients_of_gradients():
    x = leaf(2.0)
    (first,) = grad((x**4).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x, create_graph=True)
    (third,) = grad(second.sum(), x)
    assert (first.item(), second.item(), third.item()) == (32.0, 48.0, 48.0)


def test_gradients_with_create_graph_can_be_differentiated():
    x = leaf(3.0)
    (x * x * x).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = grad(x.grad.sum(), x)
    assert second.item() == 18.0
    x.grad = None  # breaks the reference cycle of x, its gradient and the graph


def test_a_gradient_penalty():
    x, w = leaf(1.0, 2.0), leaf(0.5, -1.0)

    def penalty(x, w):
        (g,) = grad((x * w).tanh().sum(), x, create_graph=True)
        return (g * g).sum()

    grad_check(penalty, x, w)


# --- freed and retained graphs


def test_a_second_backward_needs_retain_graph():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(
        RuntimeError, match="second time: what it had saved was freed by the first; pass retain_graph=True"
    ):
        y.backward()


SAVE_NOTHING = {
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "mean over a dim": lambda x: x.mean(0, keepdim=True).sum(),
    "add": lambda x: (x + x + 1).sum(),
    "sub": lambda x: (1 - x - x).sum(),
    "neg": lambda x: (-x).sum(),
    "sign": lambda x: x.sign().sum(),
    "index": lambda x: x[0],
    "flip": lambda x: x[::-1].sum(),
    "reshape": lambda x: x.reshape(1, 2).T.expand(3, 2, 1).sum(),
    "cumsum": lambda x: x.cumsum(0).sum(),
    "concatenate": lambda x: concatenate([x, x]).sum(),
    "stack": lambda x: stack([x, x], 1).sum(),
    "clone": lambda x: x.clone().sum(),
    "cast": lambda x: x.astype("float32").sum(),
}


@pytest.mark.parametrize("name", SAVE_NOTHING)
def test_a_second_backward_passes_operations_that_save_nothing(name):
    x = leaf(1.0, 2.0)
    y = SAVE_NOTHING[name](x)
    y.backward()
    once = x.grad.numpy().copy()
    y.backward()
    assert x.grad.tolist() == (2 * once).tolist()
    (again,) = grad(y, x)
    assert again.tolist() == once.tolist()


def test_two_losses_of_operations_that_save_nothing():
    w = leaf(1.0, 2.0)
    h = w + 1
    (h * h).sum().backward()
    h.exp().sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [4 + np.exp(2), 6 + np.exp(3)])
    a, b = (h * 2).sum(), (h * 3).sum()
    a.backward()
    b.backward()
    with pytest.raises(RuntimeError, match="backward through mul for a second time"):
        b.backward()


def test_a_shared_part_is_freed_with_the_first_of_two():
    x = leaf(1.0)
    shared = x.exp()
    a, b = (shared * 2).sum(), (shared * 3).sum()
    a.backward()
    with pytest.raises(RuntimeError, match="backward through exp for a second time"):
        b.backward()


def test_gradients_of_two_leaves_share_no_memory():
    a, b, c = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    g = ones(2, dtype="float64")
    (a + b + c.reshape(1, 2).reshape(2)).backward(g)
    assert not shares_memory(a.grad, b.grad, c.grad, g)
    a.grad.zero_()
    assert b.grad.tolist() == [1.0, 1.0]


def test_gradients_of_two_leaves_share_no_memory_when_they_have_a_graph():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    g = ones(2, dtype="float64")
    (a + b).backward(g, create_graph=True)
    assert not shares_memory(a.grad, b.grad, g)


def test_the_gradient_of_a_leaf_is_not_the_callers():
    x, g = leaf(1.0, 2.0), ones(2, dtype="float64")
    x.backward(g)
    y = x.detach().requires_grad_()
    y.to(OTHER).backward(g.to(OTHER))
    assert not shares_memory(x.grad, y.grad, g)


def test_the_gradient_of_a_leaf_is_not_a_saved_tensor():
    class Dot(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save(x, y)
            return (x * y).sum()

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved
            return y, x

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    Dot.apply(a, b).backward()
    assert a.grad.tolist() == [3.0, 4.0]
    assert not shares_memory(a, b, a.grad, b.grad)


def test_a_gradient_that_was_a_view_owns_its_memory():
    x = zeros(2, 3, requires_grad=True)
    x.sum().backward()
    x.grad.add_(1)  # would fail on an expanded view
    y = zeros(2, 3, requires_grad=True)
    (y.T * rand(3, 2)).sum().backward()
    assert y.grad.owns_memory


# --- errors


def test_backward_needs_a_graph():
    with pytest.raises(RuntimeError, match="does not require a gradient: nothing it was made from has requires_grad"):
        tensor([1.0]).backward()
    with no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        y.backward()


def test_backward_of_several_elements_needs_a_gradient():
    with pytest.raises(
        ValueError, match=r"shape \(2,\) needs a gradient of that shape: only one element has a default"
    ):
        (leaf(1.0, 2.0) * 2).backward()
    with pytest.raises(ValueError, match=r"shape \(0,\) needs a gradient"):
        (zeros(0, requires_grad=True) * 2).backward()


@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        (
            tensor([1.0], dtype="float64", backend="numpy"),
            ValueError,
            r"shape \(1,\), float64 for a tensor of shape \(2,\)",
        ),
        (
            tensor([1.0, 2.0], backend="numpy"),
            ValueError,
            r"gradient of shape \(2,\), float32 .* float64: expected the same",
        ),
        (2.0, TypeError, "gradient: got float, expected a tensor"),
    ],
)
def test_an_invalid_gradient_is_named(gradient, error, message):
    with pytest.raises(error, match=message):
        (leaf(1.0, 2.0) * 2).backward(gradient)


def test_a_gradient_on_another_backend_is_named():
    with pytest.raises(
        ValueError, match=r"gradient on backend 'other' for a tensor on 'numpy': bring it over with .to"
    ):
        (leaf(1.0) * 2).backward(tensor([1.0], dtype="float64", backend=OTHER))


@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        (5, TypeError, r"grad: got int, expected a tensor or None; use tensor\(...\)"),
        (np.ones(2), TypeError, r"grad: got a NumPy array, expected a tensor or None; use tensor\(...\) or from_numpy"),
        (ones(1), ValueError, r"grad of shape \(1,\) and float32 on .* for a tensor of shape \(2,\) and float32 on"),
        (ones(2, dtype="float64"), ValueError, r"grad of shape \(2,\) and float64 .*: expected the same"),
    ],
)
def test_an_invalid_grad_is_refused(gradient, error, message):
    x = ones(2, requires_grad=True)
    with pytest.raises(error, match=message):
        x.grad = gradient
    assert x.grad is None
