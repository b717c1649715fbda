"""States with tied tensors, and states that other programs saved."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn


class Tied(nn.Module):
    """An embedding tied to the weight of the last layer, and a layer used twice."""

    def __init__(self) -> None:
        self.embedding = nn.Parameter(sg.randn(3, 2))
        self.out = nn.Linear(2, 3, bias=False)
        self.out.weight = self.embedding
        self.steps = [nn.BatchNorm1d(2)]
        self.steps.append(self.steps[0])


NAMES = [
    "embedding",
    "out.weight",
    *(f"steps.{i}.{name}" for i in (0, 1) for name in ("weight", "bias", "running_mean", "running_var")),
]


def test_tied_tensors_appear_under_each_name_and_train_once() -> None:
    net = Tied()
    assert list(net.state_dict()) == NAMES
    assert [name for name, _ in net.named_parameters()] == ["embedding", "steps.0.weight", "steps.0.bias"]
    assert [name for name, _ in net.named_buffers()] == ["steps.0.running_mean", "steps.0.running_var"]


def test_tied_tensors_are_saved_under_each_name(tmp_path: Path) -> None:
    net, other = Tied(), Tied()
    nn.save(tmp_path / "tied.safetensors", net)
    state = nn.load(tmp_path / "tied.safetensors")
    assert set(state) == set(NAMES)
    other.load_state_dict(state)
    assert other.embedding.tolist() == net.embedding.tolist()
    assert other.out.weight is other.embedding


@pytest.mark.parametrize("left_out", ["embedding", "out.weight"])
def test_one_name_of_a_tied_tensor_is_enough(left_out: str) -> None:
    net, other = Tied(), Tied()
    other.load_state_dict({name: tensor for name, tensor in net.state_dict().items() if name != left_out})
    assert other.out.weight.tolist() == net.embedding.tolist()
    state = {name: tensor for name, tensor in net.state_dict().items() if name not in ("embedding", "out.weight")}
    with pytest.raises(ValueError, match=r"missing: embedding, out.weight$"):
        other.load_state_dict(state)


def test_different_values_for_a_tied_tensor_are_rejected() -> None:
    net = Tied()
    before = net.embedding.tolist()
    with pytest.raises(ValueError, match=r"embedding and out.weight are one tensor of Tied, but have different values"):
        net.load_state_dict({**net.state_dict(), "out.weight": sg.zeros(3, 2)})
    assert net.embedding.tolist() == before
    equal = net.embedding.detach().clone() * 2
    equal[0, 0] = float("nan")
    net.load_state_dict({**net.state_dict(), "embedding": equal, "out.weight": equal.clone()})
    assert net.embedding[0, 1].item() == before[0][1] * 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_tied_like_the_original(copied: object) -> None:
    net = Tied()
    net.embedding.sum().backward()
    other = copied(net)  # type: ignore[operator]
    assert list(other.state_dict()) == NAMES
    assert other.out.weight is other.embedding is not net.embedding
    assert isinstance(other.steps[1].running_mean, nn.Buffer)
    assert other.embedding.requires_grad
    assert other.embedding.grad is None is not net.embedding.grad
    other.steps[0].running_mean = sg.ones(2)
    assert other.state_dict()["steps.1.running_mean"].tolist() == [1.0, 1.0]
    assert net.state_dict()["steps.1.running_mean"].tolist() == [0.0, 0.0]


def test_one_name_for_two_tensors_is_rejected() -> None:
    net = nn.Module()
    net.heads = {"a.b": nn.Parameter(sg.ones(1)), "a": {"b": nn.Parameter(sg.ones(1))}}  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"two tensors of Module have the name 'heads.a.b'"):
        net.state_dict()
    assert len(list(net.parameters())) == 2


def test_the_batch_count_in_pytorch_files_is_ignored() -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Sequential(nn.BatchNorm1d(1)))
    state = net.state_dict()
    state["0.num_batches_tracked"] = state["1.0.num_batches_tracked"] = sg.tensor(7)
    net.load_state_dict(state)
    nn.BatchNorm1d(1).load_state_dict({**nn.BatchNorm1d(1).state_dict(), "num_batches_tracked": sg.tensor(7)})
    with pytest.raises(ValueError, match=r"unexpected: 1.num_batches_tracked$"):
        net.load_state_dict({**state, "1.num_batches_tracked": sg.tensor(7)})


def test_a_state_of_a_loaded_buffer_has_no_history() -> None:
    net = nn.BatchNorm1d(1)
    net.running_mean = nn.Parameter(sg.ones(1)) * sg.ones(1)
    assert not net.running_mean.is_leaf
    net.load_state_dict(nn.BatchNorm1d(1).state_dict())
    assert net.running_mean.is_leaf
    assert not net.running_mean.requires_grad


def test_read_only_memory_is_detected_before_any_change() -> None:
    for memory in (sg.from_numpy(np.broadcast_to(np.float32(2), (3,))), sg.from_numpy(np.frombuffer(bytes(12), "f4"))):
        net: Any = nn.Module()
        net.first, net.last = nn.Parameter(sg.ones(3)), nn.Buffer(memory)
        before = {name: tensor.tolist() for name, tensor in net.state_dict().items()}
        with pytest.raises(ValueError, match="last is in read-only memory: create it"):
            net.load_state_dict({"first": sg.zeros(3), "last": sg.zeros(3)})
        assert {name: tensor.tolist() for name, tensor in net.state_dict().items()} == before
        net.load_state_dict({"first": sg.zeros(3)}, strict=False)


def test_a_buffer_that_was_written_with_a_gradient() -> None:
    net: Any = nn.Module()
    net.weight, net.memory = nn.Parameter(sg.tensor([2.0])), nn.Buffer(sg.zeros(3))
    net.memory[1] = net.weight[0] * 3
    assert len(list(net.parameters())) == 1
    (net.memory * net.memory).sum().backward()
    assert net.weight.grad.tolist() == [36.0]
    net.load_state_dict({"weight": sg.ones(1), "memory": sg.ones(3)})
    assert not net.memory.requires_grad
    net.memory += 1
    assert net.state_dict()["memory"].tolist() == [2.0, 2.0, 2.0]
    assert [name for name, _ in net.named_buffers()] == ["memory"]
