"""Writes that are part of the graph: PyTorch 2.13's values, also through views."""

import gc

import numpy as np
import pytest

from stackgrad.tensor import Function, from_numpy, grad, no_grad, ones, sgd_numbers, sgd_step, tensor, zeros


def leaf(*values):
    return tensor(list(values), dtype="float64", requires_grad=True)


# --- PyTorch's values


def test_a_result_is_changed():
    w, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = w * w
    h += b
    h *= w
    h.sum().backward()
    assert h.tolist() == [4.0, 16.0]
    assert w.grad.tolist() == [6.0, 16.0]
    assert b.grad.tolist() == [1.0, 2.0]


def test_a_buffer_accumulates_results():
    w = leaf(1.0, 2.0, 3.0)
    out = zeros(3, dtype="float64")
    for i in range(3):
        out[i] = w[i] ** (i + 1)
    out[0] += 5
    out[1:].mul_(2)
    assert out.requires_grad
    assert not out.is_leaf
    out.sum().backward()
    assert out.tolist() == [6.0, 8.0, 54.0]
    assert w.grad.tolist() == [1.0, 8.0, 54.0]


def test_a_view_shows_the_history_of_what_is_written_later():
    w = leaf(1.0, 2.0)
    h = w * 3
    row, whole = h[:1], h.reshape(1, 2)
    h *= w
    assert row.tolist() == [3.0]
    (row.sum() + whole.sum()).backward()
    assert w.grad.tolist() == [12.0, 12.0]


def test_a_view_of_a_tensor_without_a_history():
    w = leaf(1.0, 2.0)
    x = zeros(2, dtype="float64")
    view = x[1:]
    assert view.is_leaf
    x += w
    assert view.requires_grad
    assert not view.is_leaf
    view.sum().backward()
    assert w.grad.tolist() == [0.0, 1.0]
    assert grad(x[1:].sum(), w)[0].tolist() == [0.0, 1.0]


def test_writing_to_a_view_of_a_view():
    w = leaf(1.0, 2.0, 3.0, 4.0)
    h = w * 1
    h.reshape(2, 2).T[0][1:].copy_(w[:1] * 10)
    assert h.tolist() == [1.0, 2.0, 10.0, 4.0]
    (h * h).sum().backward()
    assert w.grad.tolist() == [202.0, 4.0, 0.0, 8.0]


def test_overwritten_values_get_no_gradient():
    w = leaf(1.0, -2.0, 3.0)
    h = w * 2
    h[h < 0] = 0
    h.sum().backward()
    assert w.grad.tolist() == [2.0, 0.0, 2.0]
    w.grad = None
    h = w * 2
    h.zero_()
    h.sum().backward()
    assert w.grad.tolist() == [0.0, 0.0, 0.0]


def test_of_equal_indices_the_last_gets_the_gradient():
    w = leaf(1.0, 2.0, 3.0)
    x = zeros(2, dtype="float64")
    x[[0, 0, 1]] = w
    assert x.tolist() == [2.0, 3.0]
    x.sum().backward()
    assert w.grad.tolist() == [0.0, 1.0, 1.0]


def test_a_detached_alias_has_its_own_history():
    w = leaf(1.0, 2.0)
    h = w * 3
    y = h.detach()
    y += w
    y.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0]
    assert h.tolist() == [4.0, 8.0]
    h.sum().backward()
    assert w.grad.tolist() == [4.0, 4.0]


def test_a_second_derivative():
    x = leaf(2.0, 3.0)
    h = x * x
    h *= x
    h[1:] *= x[1:]
    (first,) = grad(h.sum(), x, create_graph=True)
    assert first.tolist() == [12.0, 108.0]
    (second,) = grad(first.sum(), x)
    assert second.tolist() == [12.0, 108.0]


# --- errors


def test_a_leaf_is_not_written():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.mul_(2), lambda: x.__setitem__(0, 1), lambda: x.__iadd__(1), lambda: x.copy_(x * 1)):
        with pytest.raises(RuntimeError, match=r"to a leaf that requires a gradient: do it under no_grad\(\)"):
            write()
    for write in (lambda: x[:1].zero_(), lambda: x.reshape(2, 1).exp_()):
        with pytest.raises(RuntimeError, match="to a view of a leaf that requires a gradient"):
            write()
    assert x.tolist() == [1.0, 2.0]
    assert x.version.count == 0


def test_a_view_without_an_origin_is_not_written():
    class First(Function):
        @staticmethod
        def forward(ctx, x):
            return x[:1]

        @staticmethod
        def backward(ctx, g):
            raise AssertionError("not called")

    class Same(First):
        @staticmethod
        def forward(ctx, x):
            return x

    w = leaf(1.0, 2.0)
    h, plain = w * 3, zeros(2, dtype="float64")
    with no_grad():
        view, part = h[:1], plain[:1]
    for write in (
        lambda: view.mul_(2),
        lambda: view[:].mul_(2),
        lambda: part.add_(w[:1]),
        lambda: First.apply(h).mul_(2),
        lambda: Same.apply(h).mul_(2),
    ):
        with pytest.raises(RuntimeError, match="to a view whose origin was not recorded"):
            write()
    part.add_(1)  # no gradient is lost
    with no_grad():
        view.mul_(2)
    assert h.tolist() == [6.0, 6.0]


def test_a_result_of_a_user_function_is_written():
    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            return (x * 2).reshape(2, 1).T

        @staticmethod
        def backward(ctx, g):
            return g.reshape(2) * 2

    w = leaf(1.0, 2.0)
    h = Twice.apply(w)
    h *= 5
    h.sum().backward()
    assert w.grad.tolist() == [10.0, 10.0]


def test_overwriting_what_backward_needs_is_an_error():
    w = leaf(1.0, 2.0)
    for make in (lambda: w.exp(), lambda: (w * 1).reshape(2, 1).T.tanh()):
        h = make()
        h += 1
        with pytest.raises(RuntimeError, match="changed in place"):
            h.sum().backward()
    index = tensor([0])
    h = w * 1
    h[index] = 5
    index[0] = 1
    with pytest.raises(RuntimeError, match="changed in place"):
        h.sum().backward()


def test_a_value_from_before_is_kept():
    w = leaf(2.0, 3.0)
    h = w * 1
    h **= 2  # needs the value that it overwrites
    h.exp_()  # needs the value that it writes
    h.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * np.array([2, 3]) * np.exp([4.0, 9.0]))


# --- read-only memory


def test_read_only_memory_does_not_change():
    array = np.zeros(4, np.float32)
    array.flags.writeable = False
    for view in (lambda x: x, lambda x: x.reshape(2, 2).T, lambda x: x[::2], lambda x: x.detach().to("numpy")):
        x = view(from_numpy(array))
        for write in (
            lambda x: x.__setitem__(0, 1),
            lambda x: x.__setitem__(x == 0, 1),
            lambda x: x.__setitem__([0], 1),
            lambda x: x.add_(1),
            lambda x: x.zero_(),
            lambda x: sgd_step([x], [ones(*x.shape)], None, sgd_numbers(0.1)),
        ):
            with pytest.raises(ValueError, match=r"in read-only memory: clone\(\) it first"):
                write(x)
        assert x.version.count == 0
    assert not array.any()


def test_an_optimizer_writes_nothing_if_one_parameter_is_read_only():
    array = np.ones(2, np.float32)
    array.flags.writeable = False
    p, velocity = ones(2), zeros(2)
    for params in ([p, from_numpy(array)], [p, ones(1).expand(2)]):
        with pytest.raises(ValueError, match="optimizer step to"):
            sgd_step(params, [ones(2), ones(2)], [velocity, zeros(2)], sgd_numbers(0.1, 0.9))
    assert (p.tolist(), velocity.tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert p.version.count == velocity.version.count == 0


def test_the_values_of_a_tensor_are_not_changed_through_numpy():
    w = leaf(1.0, 2.0)
    y = w * w
    shown = from_numpy(w.detach().numpy())
    with pytest.raises(ValueError, match="read-only memory"):
        shown[shown > 1] = 0
    y.sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_graphs_of_writes_are_freed_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        w = leaf(1.0, 2.0)
        before = len(gc.get_objects())
        for _ in range(100):
            h = w * 3
            h += w
            h[0] = w[1] * 2
            h[1:].mul_(2)
            h.sum().backward()
            w.grad = None
            del h
        assert len(gc.get_objects()) - before < 100
    finally:
        gc.enable()
