"""User-defined functions: what they may do, and the errors of wrong ones."""

import pytest

from stackgrad.tensor import Function, grad, grad_check, is_recording, no_grad, observed, tensor


def leaf(*values):
    return tensor(list(values), dtype="float64", requires_grad=True)


class Square(Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save(x)
        ctx.scale = scale
        return x * x * scale

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved
        return g * x * (2 * ctx.scale)


def test_a_user_function_has_derivatives_of_any_order():
    x = leaf(1.0, 3.0)
    grad_check(lambda x: Square.apply(x, 0.5), x)
    (first,) = grad(Square.apply(x, 0.5).sum(), x, create_graph=True)
    assert first.tolist() == [1.0, 3.0]
    assert grad(first.sum(), x)[0].tolist() == [1.0, 1.0]


def test_pytorchs_names_for_saved_tensors():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            (out,) = ctx.saved_tensors
            return g * out

    grad_check(Exp.apply, leaf(1.0, -1.0))


def test_forward_is_not_recorded_and_backward_only_on_request():
    seen = []

    class Spy(Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(is_recording())
            return x * 1

        @staticmethod
        def backward(ctx, g):
            seen.append(is_recording())
            return g * 1

    x = leaf(1.0)
    Spy.apply(x).sum().backward()
    grad(Spy.apply(x).sum(), x, create_graph=True)
    assert seen == [False, False, False, True]


def test_needs_says_which_gradients_are_needed():
    class Pick(Function):
        @staticmethod
        def forward(ctx, a, b, c):
            assert ctx.needs == (True, False, True)
            return a + b + c

        @staticmethod
        def backward(ctx, g):
            return g, None, None

    a, c = leaf(1.0), leaf(2.0)
    Pick.apply(a, tensor([1.0], dtype="float64"), c).sum().backward()
    assert a.grad.tolist() == [1.0]
    assert c.grad is None


def test_an_input_returned_as_the_result_keeps_its_node():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = leaf(1.0)
    y = Same.apply(x)
    assert y is not x
    assert x.is_leaf
    y.sum().backward()
    assert x.grad.tolist() == [5.0]


def broken(forward=lambda ctx, x: x * 2, backward=lambda ctx, g: g):
    return type("Broken", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            broken(backward=lambda ctx, g: (g, g)),
            ValueError,
            "Broken.backward returned 2 gradients: expected one for each of 1 tensors, and nothing for the other",
        ),
        (
            broken(backward=lambda ctx, g: g.sum()),
            ValueError,
            r"Broken.backward returned a gradient of shape \(\) for a tensor of shape \(2,\)",
        ),
        (broken(backward=lambda ctx, g: 1.0), TypeError, "Broken.backward returned float: expected a tensor or None"),
        (
            broken(backward=lambda ctx, g: g.astype("float32")),
            TypeError,
            "Broken.backward returned a gradient of float32 for a tensor of float64: expected the same; use .astype",
        ),
        (broken(forward=lambda ctx, x: (x, x)), TypeError, "Broken.forward returned tuple: expected one tensor"),
        (type("Empty", (Function,), {}), TypeError, r"a Function defines forward\(ctx, \*args\)"),
        (
            type("Half", (Function,), {"forward": staticmethod(lambda ctx, x: x * 2)}),
            TypeError,
            r"a Function defines backward\(ctx, g\)",
        ),
    ],
)
def test_errors_of_a_wrong_function_say_what_is_wrong(function, error, message):
    with pytest.raises(error, match=message):
        function.apply(leaf(1.0, 2.0)).sum().backward()


def test_outer_observers_are_called_too():
    outer, inner = [], []
    with observed(lambda *applied: outer.append(applied)):
        with observed(lambda *applied: inner.append(applied)):
            leaf(1.0, 2.0).exp()
        leaf(1.0, 2.0).exp()
    assert (len(outer), len(inner)) == (2, 1)


def test_applied_functions_are_observed():
    seen = []
    x = leaf(1.0, 2.0)
    with observed(lambda function, arguments, result: seen.append((function.__name__, arguments, result))):
        with no_grad():
            y = x * x
        z = y.reshape(2, 1)
    x + x
    (mul, (op, a, b), product), (reshape, _, result) = seen
    assert (mul, op.name, reshape) == ("Elementwise", "mul", "Reshape")
    assert a is x
    assert b is x
    assert product is y
    assert result is z
