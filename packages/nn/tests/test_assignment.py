"""Assignment to a module's attributes: a name keeps its role, and nothing is silently ignored."""

import copy
import re
from collections import OrderedDict, deque
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn


class Running(nn.Module):
    """Assigns to a buffer in forward, as PyTorch's users do."""

    def __init__(self) -> None:
        self.mean = nn.Buffer(sg.zeros(2))
        self.scale = nn.Parameter(sg.ones(2))

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        self.mean = 0.5 * self.mean + 0.5 * input.detach().mean(0)  # type: ignore[assignment]
        return (input - self.mean) * self.scale


# ----------------------------------------------------------------------------------------------------------- buffers


def test_a_tensor_assigned_to_a_buffer_is_the_buffer() -> None:
    layer: Any = Running()
    first = layer.mean
    for _ in range(2):
        layer(sg.tensor([[2.0, 4.0]])).sum().backward()
    assert type(layer.mean) is nn.Buffer
    assert layer.state_dict()["mean"].tolist() == [1.5, 3.0]
    assert first.tolist() == [0.0, 0.0]  # as in PyTorch: a different tensor from now on
    layer.mean = sg.ones(3)  # a different shape is allowed
    assert layer.state_dict()["mean"].shape == (3,)
    layer.mean = None
    assert "mean" not in layer.state_dict()
    layer.mean = sg.ones(2)
    assert [name for name, _ in layer.named_buffers()] == ["mean"]


def test_a_buffer_in_two_forwards_before_one_backward() -> None:
    layer: Any = nn.Module()
    layer.scale = nn.Buffer(sg.ones(2))
    x = sg.ones(2, requires_grad=True)
    total = sg.zeros(2)
    for _ in range(2):
        total = total + x * layer.scale.reshape(2)
        layer.scale = layer.scale * 3
    total.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 4.0]


def test_gradients_flow_through_a_buffer_as_in_pytorch() -> None:
    layer: Any = nn.Module()
    layer.weight, layer.hidden = nn.Parameter(sg.tensor([2.0])), nn.Buffer(sg.ones(1))
    for _ in range(3):
        layer.hidden = layer.hidden * layer.weight
    layer.hidden.sum().backward()
    assert layer.weight.grad.tolist() == [12.0]
    assert not layer.state_dict()["hidden"].requires_grad
    assert layer.hidden.requires_grad
    layer.hidden = layer.hidden.detach()
    assert not layer.hidden.requires_grad
    assert layer.to("numpy").hidden.tolist() == [8.0]


def test_a_buffer_rejects_a_trainable_leaf() -> None:
    layer: Any = Running()
    with pytest.raises(TypeError, match=r"Running.mean is a buffer, .*assign nn.Parameter\(...\) to train it"):
        layer.mean = sg.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"Running.mean is a buffer: assign a Tensor or None, .* got list"):
        layer.mean = [1.0]
    layer.mean = nn.Parameter(sg.ones(2))
    assert [name for name, _ in layer.named_parameters()] == ["mean", "scale"]


# -------------------------------------------------------------------------------------------- parameters and modules


@pytest.mark.parametrize("value", [sg.ones(2), sg.ones(2, requires_grad=True), nn.Buffer(sg.ones(2)), 1.0, nn.ReLU()])
def test_only_a_parameter_replaces_a_parameter(value: object) -> None:
    layer: Any = Running()
    before = layer.scale
    message = "Running.scale is a parameter: assign nn.Parameter(...) or None, or `del` it first; got "
    with pytest.raises(TypeError, match=re.escape(message + type(value).__name__)):
        layer.scale = value
    assert layer.scale is before
    layer.scale = None
    with pytest.raises(TypeError, match="is a parameter"):  # None does not free the name
        layer.scale = value
    layer.scale = replaced = nn.Parameter(sg.zeros(2))
    assert list(layer.parameters()) == [replaced]
    del layer.scale
    layer.scale = 1.0
    assert list(layer.parameters()) == []


def test_only_a_module_replaces_a_module() -> None:
    net: Any = nn.Sequential(nn.Linear(1, 1))
    net.head = nn.Linear(1, 2)
    for value in (sg.ones(1), [nn.ReLU()], 3):
        with pytest.raises(TypeError, match=r"Sequential.head is a module: assign a Module or None"):
            net.head = value
    net.head = nn.Linear(1, 3, bias=False)
    assert net.state_dict()["head.weight"].shape == (3, 1)
    net.head = None
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    assert "head" not in copy.copy(net).state_dict()


# -------------------------------------------------------------------------------------------------------- containers


@pytest.mark.parametrize("make", [dict, OrderedDict])
def test_modules_in_dicts_are_named_by_their_keys(make: Any) -> None:
    net: Any = nn.Module()
    net.heads = make(left=nn.Linear(1, 1, bias=False), right=[nn.Linear(1, 1), {3: nn.Parameter(sg.ones(1))}])
    names = ["heads.left.weight", "heads.right.0.weight", "heads.right.0.bias", "heads.right.1.3"]
    assert list(net.state_dict()) == names == [name for name, _ in net.named_parameters()]
    assert [name for name, _ in net.named_children()] == ["heads.left", "heads.right.0"]
    net.heads["more"] = nn.BatchNorm1d(1)  # afterwards
    net.heads["right"].append(nn.Parameter(sg.ones(1)))
    assert [name for name in net.state_dict() if name not in names] == [
        "heads.right.2",
        *(f"heads.more.{name}" for name in ("weight", "bias", "running_mean", "running_var")),
    ]
    net.eval()
    assert not net.heads["more"].training
    assert list(copy.deepcopy(net).state_dict()) == list(net.state_dict())


def test_a_list_that_grows_and_contains_itself() -> None:
    net: Any = nn.Module()
    net.layers = []
    assert list(net.parameters()) == []
    net.layers += [nn.Linear(1, 1, bias=False), deque([nn.ReLU(), nn.Linear(1, 1, bias=False)])]
    net.layers.append(net.layers)
    assert list(net.state_dict()) == ["layers.0.weight", "layers.1.1.weight"]


def test_a_set_of_modules_is_rejected() -> None:
    net: Any = nn.Module()
    net.layers = [{nn.Linear(1, 1)}]
    with pytest.raises(TypeError, match="'0' is a set that holds a Linear: a set has no order"):
        net.parameters().__next__()
    net.layers = {1, "text"}
    assert list(net.parameters()) == []


def test_a_member_of_the_class_is_rejected() -> None:
    for member in (nn.Linear(1, 1), [nn.Parameter(sg.ones(1))], {"a": nn.Buffer(sg.ones(1))}):
        with pytest.raises(TypeError, match=r"Net.layer.* of the class, .*: create it in __init__"):
            type("Net", (nn.Module,), {"layer": member})


# ------------------------------------------------------------------------------------- tensors that require gradients


@pytest.mark.parametrize(
    "make",
    [
        lambda: sg.ones(2, requires_grad=True),
        lambda: sg.ones(2, requires_grad=True) * 0.1,
        lambda: [sg.ones(2), {"a": sg.ones(2, requires_grad=True)}],
    ],
)
def test_a_plain_tensor_that_requires_a_gradient_is_an_error(make: Any) -> None:
    net: Any = nn.Sequential(nn.ReLU())
    getattr(net, "0").weight = make()
    for function in (net.parameters, net.named_buffers, net.state_dict, net.zero_grad):
        message = "'0.weight.*' of Sequential .*requires a gradient and is not a Parameter: .* make it nn.Parameter"
        with pytest.raises(TypeError, match=message):
            list(function())
    net.eval()
    repr(net)


def test_a_module_may_keep_activations() -> None:
    net: Any = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net.kept = [net[0](sg.ones(1, 2))]
    net.last = net(sg.ones(1, 2, requires_grad=True))
    assert len(list(net.parameters())) == 2
    net.last.sum().backward()
    assert len(list(net.parameters())) == 2
    net.plain = sg.ones(2)
    assert list(net.state_dict()) == ["0.weight", "0.bias"]


# --------------------------------------------------------------------------------------------- what a Parameter takes


@pytest.mark.parametrize("cls", [nn.Parameter, nn.Buffer])
@pytest.mark.parametrize(
    ("value", "given"),
    [
        (5, r"int, expected a tensor; use tensor\(...\)"),
        ([1.0, 2.0], r"list, expected a tensor; use tensor\(...\)"),
        (sg.ones(2).numpy(), r"a NumPy array, expected a tensor; use tensor\(...\) or from_numpy\(...\)"),
        (None, "NoneType, expected a tensor$"),
    ],
)
def test_an_argument_that_is_not_a_tensor(cls: Any, value: object, given: str) -> None:
    with pytest.raises(TypeError, match=f"a {cls.__name__}'s value: got {given}"):
        cls(value)


def test_create_a_frozen_parameter() -> None:
    frozen = nn.Parameter(sg.tensor([1]), requires_grad=False)
    assert not frozen.requires_grad


def test_a_parameter_says_what_it_is() -> None:
    assert repr(nn.Parameter(sg.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert repr(nn.Buffer(sg.ones(2))) == "tensor([1., 1.])"
