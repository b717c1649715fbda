"""Registration of buffers, parameters and modules by methods."""

from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn


class Net(nn.Module):
    def __init__(self) -> None:
        self.register_buffer("mean", sg.zeros(3))
        self.register_buffer("mask", sg.ones(2, 2), persistent=False)
        self.register_parameter("scale", nn.Parameter(sg.ones(3)))
        self.register_parameter("shift", None)
        self.add_module("inner", nn.Linear(3, 2))
        self.register_buffer("nothing", None)

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        return input * self.scale


def test_a_module_owns_what_is_registered() -> None:
    net: Any = Net()
    assert list(net.state_dict()) == ["mean", "scale", "inner.weight", "inner.bias"]
    assert [name for name, _ in net.named_buffers()] == ["mean", "mask"]
    assert [name for name, _ in net.named_parameters()] == ["scale", "inner.weight", "inner.bias"]
    assert net.shift is None
    assert net.nothing is None
    assert net.to("cpu").mask.backend.name == "cpu"
    other = Net()
    other.load_state_dict(net.state_dict())
    with pytest.raises(ValueError, match="unexpected: mask"):
        other.load_state_dict({**net.state_dict(), "mask": net.mask})


def test_a_name_keeps_its_registered_role() -> None:
    net: Any = Net()
    net.mask = sg.zeros(1)
    assert isinstance(net.mask, nn.Buffer)
    assert "mask" not in net.state_dict()
    net.nothing = sg.zeros(1)
    assert isinstance(net.nothing, nn.Buffer)
    with pytest.raises(TypeError, match=r"Net.shift is a parameter: assign nn.Parameter\(...\)"):
        net.shift = sg.zeros(3)
    net.register_parameter("shift", nn.Parameter(sg.zeros(3)))
    net.register_buffer("mask", sg.zeros(4))
    assert list(net.state_dict()) == ["mean", "mask", "scale", "shift", "inner.weight", "inner.bias", "nothing"]
    outer = nn.Sequential(net)
    assert "0.mask" in outer.state_dict()
    net.register_buffer("mask", sg.zeros(4), persistent=False)
    assert "0.mask" not in outer.state_dict()


def test_names_that_are_taken_or_invalid() -> None:
    net: Any = Net()
    net.count = 3
    for name in ("forward", "training", "scale", "inner", "count"):
        with pytest.raises(KeyError, match=f"Net already has an attribute '{name}': choose another name"):
            net.register_buffer(name, sg.zeros(1))
    for name in ("a.b", "", 3):
        with pytest.raises(KeyError, match="cannot name a member of a module"):
            net.register_parameter(name, nn.Parameter(sg.zeros(1)))
    with pytest.raises(TypeError, match=r"register_buffer 'x': got list, expected a tensor or None; use tensor\("):
        net.register_buffer("x", [1.0])
    with pytest.raises(TypeError, match=r"register_parameter 'x': got Tensor, expected an nn.Parameter or None"):
        net.register_parameter("x", sg.zeros(1))
    with pytest.raises(TypeError, match="Net: 'x' must be a Module; got Tensor"):
        net.add_module("x", sg.zeros(1))


def test_apply_get_submodule_and_requires_grad() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"a": nn.Sequential(nn.ReLU())}))
    seen: list[nn.Module] = []
    assert net.apply(seen.append) is net
    assert [type(module).__name__ for module in seen] == ["Linear", "ReLU", "Sequential", "ModuleDict", "Sequential"]
    assert net.get_submodule("1.a.0") is net[1]["a"][0]  # type: ignore[index]
    assert net.get_submodule("") is net
    with pytest.raises(AttributeError, match=r"Sequential has no module '1.b'"):
        net.get_submodule("1.b")
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
