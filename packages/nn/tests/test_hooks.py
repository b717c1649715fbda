"""Hooks before and after a module's forward."""

import copy
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn


def test_a_hook_receives_arguments_and_output() -> None:
    layer, seen = nn.Linear(2, 3), []
    before = layer.register_forward_pre_hook(lambda module, args: seen.append(("before", module, args)))
    behind = layer.register_forward_hook(lambda module, args, out: seen.append(("behind", module, args, out)))
    x = sg.ones(4, 2)
    out = layer(x)
    (_, first, args), (_, second, same, found) = seen
    assert first is second is layer
    assert args == same == (x,)
    assert found is out
    before.remove()
    behind.remove()
    behind.remove()
    layer(x)
    assert len(seen) == 2


def test_the_result_of_a_hook_is_used() -> None:
    layer, x = nn.ReLU(), sg.tensor([-1.0, 2.0])
    with layer.register_forward_hook(lambda module, args, out: out + 1):
        assert layer(x).tolist() == [1.0, 3.0]
        with layer.register_forward_pre_hook(lambda module, args: -args[0]):
            assert layer(x).tolist() == [2.0, 1.0]
        with layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,)):
            assert layer(x).tolist() == [1.0, 5.0]
    assert layer(x).tolist() == [0.0, 2.0]


def test_hooks_run_in_order_and_only_for_their_module() -> None:
    net, order = nn.Sequential(nn.ReLU(), nn.Tanh()), []
    for i, module in enumerate(net):
        module.register_forward_hook(lambda module, args, out, i=i: order.append(i))
    net[0].register_forward_hook(lambda module, args, out: order.append("again"))
    net(sg.ones(2))
    assert order == [0, "again", 1]
    copy.deepcopy(net)(sg.ones(2))
    assert order == [0, "again", 1] * 2
    assert list(net.state_dict()) == []


def test_a_captured_function_calls_a_hook_registered_after_recording() -> None:
    layer = nn.Linear(2, 2).to("cpu")

    @sg.capture
    def step(x: sg.Tensor) -> sg.Tensor:
        return layer(x).detach()

    x = sg.ones(3, 2, backend="cpu")
    plain = [step(x).tolist() for _ in range(3)][-1]
    handle = layer.register_forward_hook(lambda module, args, out: out * 2)
    doubled = [step(x).tolist() for _ in range(3)]
    assert doubled == [[[2 * value for value in row] for row in plain]] * 3
    handle.remove()
    assert [step(x).tolist() for _ in range(3)] == [plain] * 3
    seen: list[Any] = []
    layer.register_forward_hook(lambda module, args, out: seen.append(out))
    with pytest.raises(RuntimeError, match="a captured function changed seen"):
        step(x)
