"""Modules that hold modules."""

from collections import OrderedDict
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn


def linears(count: int) -> list[nn.Linear]:
    return [nn.Linear(2, 2, generator=sg.Generator(i)) for i in range(count)]


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_children()]


@pytest.mark.parametrize("make", [nn.ModuleList, lambda modules: nn.Sequential(*modules)])
def test_module_lists_change_like_lists(make: Any) -> None:
    expected: list[nn.Module] = [*linears(3)]
    held = make(expected)
    a, b, c, d = linears(4)
    for step in (
        lambda x: x.append(a),
        lambda x: x.insert(1, b),
        lambda x: x.insert(-1, c),
        lambda x: x.extend([d, nn.ReLU()]),
        lambda x: x.__setitem__(2, nn.Tanh()),
        lambda x: x.__delitem__(0),
        lambda x: x.__delitem__(slice(1, 3)),
        lambda x: x.pop(),
        lambda x: x.pop(0),
    ):
        step(expected)
        step(held)
        assert list(held) == expected or len(held) == len(expected)
        assert [type(m) for m in held] == [type(m) for m in expected]
        assert [m for m in held if isinstance(m, nn.Linear)] == [m for m in expected if isinstance(m, nn.Linear)]
        assert names(held) == [str(i) for i in range(len(expected))]
        assert len(held) == len(expected)
    assert held[0] is held[-len(held)]
    with pytest.raises(IndexError, match=f"index 7 is out of range for a .* of {len(held)} modules"):
        held[7]


def test_slices_are_containers_of_the_same_modules() -> None:
    modules = linears(4)
    part = nn.ModuleList(modules)[1:3]
    assert isinstance(part, nn.ModuleList)
    assert list(part) == modules[1:3]
    assert names(part) == ["0", "1"]
    layers = nn.Sequential(*modules)[1:3]
    assert isinstance(layers, nn.Sequential)
    assert list(layers) == modules[1:3]
    assert names(layers) == ["1", "2"]  # as in PyTorch
    assert list(nn.ModuleList(modules[:1]) + modules[1:]) == modules


def test_a_list_owns_its_modules() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = nn.ModuleList(linears(2))

    net = Net()
    assert list(net.state_dict()) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    with pytest.raises(NotImplementedError, match="ModuleList must define forward"):
        net.layers(sg.ones(2, 2))
    with pytest.raises(TypeError, match="ModuleList: '2' must be a Module; got function"):
        net.layers.append(lambda x: x)


@pytest.mark.parametrize("make", [nn.ModuleList, lambda modules: nn.Sequential(*modules)])
def test_none_is_not_dropped_but_refused(make: Any) -> None:
    layers = make(linears(2))
    with pytest.raises(TypeError, match="must be a Module; got NoneType"):
        make([*linears(1), None])
    with pytest.raises(TypeError, match="'2' must be a Module; got NoneType"):
        layers.append(None)
    with pytest.raises(TypeError, match="'0' must be a Module; got NoneType"):
        layers.insert(0, None)
    with pytest.raises(TypeError, match="'1' must be a Module; got NoneType"):
        layers[-1] = None
    assert names(layers) == ["0", "1"]


@pytest.mark.parametrize("make", [nn.ModuleDict, nn.Sequential])
def test_none_has_no_name_either(make: Any) -> None:
    with pytest.raises(TypeError, match=f"{make.__name__}: 'b' must be a Module; got NoneType"):
        make({"a": nn.Tanh(), "b": None})
    with pytest.raises(TypeError, match="ModuleDict: 'a' must be a Module; got NoneType"):
        nn.ModuleDict()["a"] = None  # type: ignore[assignment]


def test_sequential_of_names() -> None:
    first, second = linears(2)
    layers = nn.Sequential(OrderedDict([("first", first), ("act", nn.ReLU()), ("second", second)]))
    assert names(layers) == ["first", "act", "second"]
    assert layers[0] is first
    assert layers[-1] is second
    x = sg.ones(3, 2)
    assert layers(x).tolist() == second(first(x).relu()).tolist()


def test_modules_by_name() -> None:
    left, right, third = linears(3)
    held = nn.ModuleDict({"left": left, "right": right})
    held["third"] = third
    assert (list(held), len(held)) == (["left", "right", "third"], 3)
    assert (list(held.keys()), list(held.values())) == (["left", "right", "third"], [left, right, third])
    assert dict(held.items()) == {"left": left, "right": right, "third": third}
    assert "left" in held
    assert "middle" not in held
    assert list(held.state_dict())[:3] == ["left.weight", "left.bias", "right.weight"]
    assert held.pop("left") is left
    del held["right"]
    held.update([("third", left), ("fourth", right)])
    assert dict(held.items()) == {"third": left, "fourth": right}
    held.clear()
    assert len(held) == 0
    for name in ("keys", "forward", "a.b", ""):
        with pytest.raises(KeyError):
            held[name] = left
    with pytest.raises(TypeError, match="ModuleDict: 'x' must be a Module; got int"):
        held["x"] = 3  # type: ignore[assignment]
    with pytest.raises(KeyError):
        held["x"]
