"""Modules: their members, state and repr."""

import re
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn


class Net(nn.Module):
    """Attributes of every sort that a module owns, and some that it does not."""

    def __init__(self) -> None:
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter(sg.ones(3))
        self.blocks = [nn.Linear(3, 3, bias=False), (nn.BatchNorm1d(3), nn.Dropout(0.5))]
        self.count = nn.Buffer(sg.tensor(0))
        self.pair = (nn.Parameter(sg.zeros(1)), "text")
        self.again = self.first
        self.tied = self.scale
        self.activation = sg.ones(3)
        self.size = 3

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        self.activation = self.first(input) * self.scale
        return self.activation


NAMES = [
    "first.weight",
    "first.bias",
    "scale",
    "blocks.0.weight",
    "blocks.1.0.weight",
    "blocks.1.0.bias",
    "blocks.1.0.running_mean",
    "blocks.1.0.running_var",
    "count",
    "pair.0",
]


TIED = ["again.weight", "again.bias", "tied"]


def test_names_follow_the_order_of_definition_and_each_object_counts_once() -> None:
    net = Net()
    assert list(net.state_dict()) == NAMES + TIED
    assert [name for name, _ in net.named_buffers()] == [n for n in NAMES if "running" in n or n == "count"]
    parameters = dict(net.named_parameters())
    assert list(parameters) == [n for n in NAMES if "running" not in n and n != "count"]
    assert parameters["first.weight"] is net.first.weight
    assert [id(p) for p in net.parameters()] == [id(p) for p in parameters.values()]


def test_modules_and_children() -> None:
    net = Net()
    assert [name for name, _ in net.named_modules()] == ["", "first", "blocks.0", "blocks.1.0", "blocks.1.1"]
    assert next(net.modules()) is net
    assert [name for name, _ in net.named_children()] == ["first", "blocks.0", "blocks.1.0", "blocks.1.1", "again"]
    assert [type(child) for child in net.children()] == [nn.Linear, nn.Linear, nn.BatchNorm1d, nn.Dropout, nn.Linear]


def test_a_module_that_contains_itself() -> None:
    net = nn.Sequential(nn.Linear(1, 1))
    net.itself = net  # type: ignore[attr-defined]
    assert [name for name, _ in net.named_modules()] == ["", "0"]


def test_replacing_a_layer_takes_effect_at_once() -> None:
    net = Net()
    net.first = nn.Linear(2, 5, bias=False)
    assert "first.bias" not in net.state_dict()
    assert net.state_dict()["first.weight"].shape == (5, 2)


def test_parameter_shares_memory_and_requires_a_gradient() -> None:
    source = sg.zeros(2)
    parameter = nn.Parameter(source)
    assert isinstance(parameter, sg.Tensor)
    assert parameter.requires_grad
    assert parameter.is_leaf
    source.add_(1)
    assert parameter.tolist() == [1.0, 1.0]
    assert type(parameter * 2) is sg.Tensor
    assert type(parameter.detach()) is sg.Tensor


def test_an_integer_parameter() -> None:
    with pytest.raises(TypeError, match="dtype int64 has no gradient"):
        nn.Parameter(sg.tensor([1]))


def test_backward_detects_a_changed_buffer() -> None:
    buffer = nn.Buffer(sg.ones(2))
    loss = (nn.Parameter(sg.ones(2)) * buffer).sum()
    buffer.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    with pytest.raises(TypeError, match="train takes a bool; got Tensor"):
        net.train(sg.ones(1))  # type: ignore[arg-type]


def test_calling_runs_forward_and_gradients_arrive() -> None:
    net = Net()
    net(sg.ones(4, 2)).sum().backward()
    assert net.scale.grad is not None
    assert net.activation.shape == (4, 3)
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_subclass_must_define_forward() -> None:
    with pytest.raises(NotImplementedError, match="Module must define forward"):
        nn.Module()(1)


# -------------------------------------------------------------------------------------------------------- state_dict


def test_state_round_trip() -> None:
    source, target = Net(), Net()
    source.blocks[1][0](sg.rand(4, 3))  # type: ignore[index]
    source.count.add_(3)
    assert not np.array_equal(source.first.weight.detach().numpy(), target.first.weight.detach().numpy())
    kept = target.first.weight
    target.load_state_dict(source.state_dict())
    assert target.first.weight is kept
    assert kept.requires_grad
    for (name, a), (_, b) in zip(source.state_dict().items(), target.state_dict().items(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def test_state_shares_memory_and_has_no_history() -> None:
    layer = nn.Linear(1, 1)
    state = layer.state_dict()
    assert not state["weight"].requires_grad
    with sg.no_grad():
        layer.weight.zero_()
    assert state["weight"].tolist() == [[0.0]]


def test_loading_converts_the_dtype() -> None:
    layer = nn.Linear(1, 1)
    layer.load_state_dict({"weight": sg.tensor([[2]]), "bias": sg.tensor([0.5], dtype=sg.float64)})
    assert layer.weight.dtype == layer.bias.dtype == sg.float32  # type: ignore[union-attr]
    assert (layer.weight.tolist(), layer.bias.tolist()) == ([[2.0]], [0.5])  # type: ignore[union-attr]


def test_a_mismatched_state_changes_nothing() -> None:
    layer = nn.Linear(2, 3)
    before = layer.weight.tolist()
    state = {"weight": sg.zeros(3, 2), "wieght": sg.zeros(3, 2)}
    with pytest.raises(ValueError, match="does not fit Linear: missing: bias; unexpected: wieght"):
        layer.load_state_dict(state)
    with pytest.raises(ValueError, match=re.escape("bias has shape (2,), expected (3,)")):
        layer.load_state_dict({"weight": sg.zeros(3, 2), "bias": sg.zeros(2)}, strict=False)
    with pytest.raises(TypeError, match="the state of Linear: bias: got a NumPy array, expected a tensor"):
        layer.load_state_dict({"weight": sg.zeros(3, 2), "bias": np.zeros(3)})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"must map names to tensors, as nn.load returns; got str"):
        layer.load_state_dict("model.safetensors")  # type: ignore[arg-type]
    assert layer.weight.tolist() == before
    missing, unexpected = layer.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["bias"], ["wieght"])
    assert layer.weight.tolist() == [[0.0, 0.0]] * 3


def test_what_a_state_leaves_out_is_returned() -> None:
    layer = nn.Linear(2, 3)
    found = layer.load_state_dict({"weight": sg.zeros(3, 2)}, strict=False)
    assert found.missing_keys == ["bias"]
    assert found.unexpected_keys == []
    assert repr(found) == "UnmatchedKeys(missing_keys=['bias'], unexpected_keys=[])"
    assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"  # PyTorch's words


def test_to_keeps_the_objects_and_their_gradients() -> None:
    class Other(sg.NumpyBackend):
        name = "other"

    other = Other()
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net(sg.rand(3, 2)).sum().backward()
    objects = list(net.parameters())
    gradients = [p.grad.tolist() for p in objects if p.grad is not None]
    for backend in (objects[0].backend, other):
        assert net.to(backend) is net
        assert all(a is b for a, b in zip(net.parameters(), objects, strict=True))
        assert all(p.backend is backend and p.requires_grad and p.is_leaf for p in objects)
        assert [p.grad.tolist() for p in objects if p.grad is not None and p.grad.backend is backend] == gradients
        assert all(buffer.backend is backend for _, buffer in net.named_buffers())
    with pytest.raises(TypeError, match=r"float64 is a dtype, not a backend: .*\.astype\(float64\)"):
        net.to(np.dtype(np.float64))  # type: ignore[arg-type]


def test_astype_keeps_the_objects_their_gradients_and_integers() -> None:
    net = Net()
    net(sg.ones(4, 2)).sum().backward()
    net.scale.requires_grad_(False)
    before, gradient = dict(net.named_parameters()), net.first.weight.grad
    assert net.astype(sg.float64) is net
    assert all(p is before[name] and p.dtype == sg.float64 for name, p in net.named_parameters())
    assert (net.first.weight.requires_grad, net.scale.requires_grad) == (True, False)
    assert net.count.dtype == sg.int64
    assert net.blocks[1][0].running_mean.dtype == sg.float64  # type: ignore[index]
    assert gradient is not None
    assert net.first.weight.grad is not None
    assert net.first.weight.grad.dtype == sg.float64
    assert net.first.weight.grad.tolist() == gradient.tolist()
    for dtype in ("int64", "float16"):
        with pytest.raises(TypeError, match=f"a module has float32 or float64 tensors; got {dtype}"):
            net.astype(dtype)


def test_backward_after_to_is_rejected() -> None:
    layer = nn.Linear(2, 2)
    loss = (layer.weight * layer.weight).sum()
    layer.astype("float64")
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_to_moves_all_tensors() -> None:
    class Other(sg.NumpyBackend):
        name = "other"

    other = Other()
    net = nn.Sequential(nn.Linear(2, 2, generator=sg.Generator(1)), nn.BatchNorm1d(2)).to(other)
    x = np.ones((3, 2), np.float32)
    out = net(sg.tensor(x, backend=other))
    assert out.backend is other
    out.sum().backward()
    assert all(p.grad is not None and p.grad.backend is other for p in net.parameters())
    with pytest.raises(ValueError, match="do not mix"):
        net(sg.tensor(x, backend="numpy"))


# --------------------------------------------------------------------------------------------------------- for people


def test_a_misspelt_attribute_is_an_error_with_a_hint() -> None:
    layer: Any = nn.Linear(1, 1)
    with pytest.raises(AttributeError, match=r"'Linear' has no attribute 'wieght'; did you mean 'weight'\?"):
        _ = layer.wieght
    with pytest.raises(AttributeError, match="did you mean 'named_parameters'"):
        _ = layer.named_parameter
    with pytest.raises(AttributeError, match=r"'Linear' has no attribute 'zzz'$"):
        _ = layer.zzz
    assert not hasattr(layer, "__array__")


def test_repr_of_nested_modules() -> None:
    inner = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU())
    assert repr(nn.Sequential(inner, nn.Tanh())) == (
        "Sequential(\n  (0): Sequential(\n    (0): Linear(2, 3, bias=False)\n    (1): ReLU()\n  )\n  (1): Tanh()\n)"
    )


def test_repr_names_the_modules_in_lists() -> None:
    assert "  (blocks.1.1): Dropout(p=0.5)\n" in repr(Net())


def test_pytorch_s_methods_for_dtype_and_backend() -> None:
    net = nn.Linear(2, 3)
    assert net.double() is net
    assert net.weight.dtype == np.float64
    assert net.float().weight.dtype == np.float32
    assert net.cpu() is net
    assert net.weight.backend.name == "numpy"  # which is also a host backend
