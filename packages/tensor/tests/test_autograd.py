"""Recording: which tensors may require a gradient, and what a function keeps."""

import pytest

from stackgrad.tensor import Context, Function, grad, no_grad, tensor

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


# --- what a function keeps


NAMES = ["edges", "shapes", "dtypes", "function", "name", "node", "freed", "free", "finish", "gradients", "backward"]
NAMES += ["grad", "data", "version", "_saved", "_context", "_function", "_name", "_needs", "_output", "__dict", "_node"]


@pytest.mark.parametrize("name", NAMES)
def test_a_function_may_set_attributes_of_any_name(name):
    class Keeps(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save(x, y)
            setattr(ctx, name, (None, "anything"))
            return x * y

        @staticmethod
        def backward(ctx, g):
            assert getattr(ctx, name) == (None, "anything")
            x, y = ctx.saved
            setattr(ctx, name, None)
            return g * y, g * x

    x, y = tensor([2.0, 3.0], requires_grad=True), tensor([5.0], requires_grad=True)
    y = y.expand(2)
    assert [g.tolist() for g in grad(Keeps.apply(x * 1, y).sum(), [x, y])] == [[5, 5], [2, 3]]


def test_attributes_set_by_the_graph_are_read_only():
    class Sets(Function):
        @staticmethod
        def forward(ctx, x):
            for name in ("needs", "saved"):
                with pytest.raises(AttributeError, match=name):
                    setattr(ctx, name, ())
            return x * 1

    assert Sets.apply(tensor([1.0], requires_grad=True)).requires_grad


@pytest.mark.parametrize("recording", [True, False])
def test_only_tensors_are_saved(recording):
    class Saves(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save(x, 2.0)
            return x * 2.0

    x = tensor([1.0], requires_grad=recording)
    if recording:
        with pytest.raises(
            TypeError, match=r"ctx.save\(Tensor, float\) in Saves.forward: expected tensors; keep anything"
        ):
            Saves.apply(x)
    else:
        assert Saves.apply(x).tolist() == [2.0]


def test_no_grad_records_nothing():
    with no_grad():
        assert (tensor([1.0], requires_grad=True) * 2).node is None


def test_nodes_and_contexts_say_what_they_are():
    out = (tensor([1.0, 2.0], requires_grad=True) ** 2).exp()
    assert repr(out.node) == "Node(exp)"
    out.sum().backward()
    assert repr(out.node) == "Node(exp, freed)"
    assert repr(Context()) == "Context(saved=[])"
