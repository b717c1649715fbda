"""Captured functions on the cuda backend: replays do the same as calls."""

from unittest.mock import Mock

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cuda import _replay
from stackgrad.kernels.cuda._driver import device

RNG = np.random.default_rng(0)


def values(*shape):
    return sg.tensor(RNG.standard_normal(shape).astype(np.float32), backend="cuda")


def step(x, y):
    """Elementwise ops, broadcasting, copies between layouts, reductions, running sums, writes and new constants."""
    z = (x * y[0]).T.exp() - x.T
    total = z.sum(0) + z.max(0) + sg.full((3,), 2.0, backend="cuda")
    out = z.cumsum(0).clone()
    out[1:] = out[:-1] * 2
    return total, out, z.argmax(1)


def test_replays_equal_calls():
    captured = sg.capture(step)
    for _ in range(5):
        x, y = values(3, 4), values(2, 4)
        expected, found = step(x, y), captured(x, y)
        assert [a.tolist() for a in found] == [a.tolist() for a in expected]


def test_python_does_not_run_from_the_third_call_on():
    called = Mock()

    @sg.capture
    def double(x):
        called()
        return x * 2

    results = [double(sg.tensor([i, i + 1], backend="cuda")) for i in range(5)]
    assert called.call_count == 2
    assert [x.tolist() for x in results] == [[2 * i, 2 * i + 2] for i in range(5)]


def test_a_sequence_of_launches_is_one_entry_of_the_tape():
    captured = sg.capture(step)
    arguments = values(3, 4), values(2, 4)
    for _ in range(3):
        captured(*arguments)
    ((replay,),) = captured._forms.recordings.values()
    rows = [work for work in replay._tape if isinstance(work, _replay.Row)]
    assert len(rows) == 1
    assert len(rows[0]._calls) > 5
    assert len(replay._tape) == 1


class Network:
    """Two layers, dropout and AdamW with numbers that change from step to step."""

    def __init__(self):
        draws = sg.Generator(1)
        self.params = [sg.randn(*shape, generator=draws, backend="cuda") for shape in ((5, 3), (5,), (4, 5), (4,))]
        self.m, self.v = ([sg.zeros(*p.shape, backend="cuda") for p in self.params] for _ in range(2))
        for p in self.params:
            p.requires_grad_()
        self.draws, self.steps = sg.Generator(2), 0

    def step(self, x, target):
        w1, b1, w2, b2 = self.params
        for p in self.params:
            p.grad = None
        hidden = sg.dropout(sg.linear(x, w1, b1, activation="relu"), 0.5, self.draws)
        loss = sg.cross_entropy(sg.linear(hidden, w2, b2), target).mean()
        loss.backward()
        numbers = np.empty(9)

        def write():
            self.steps += 1
            numbers[:] = sg.adam_numbers(self.steps, 0.1 / self.steps, weight_decay=0.01, decoupled=True)

        sg.each_time(write, ahead=True)
        sg.adam_step(self.params, [p.grad for p in self.params], self.m, self.v, numbers)
        return loss.detach()


def test_a_training_step_is_one_graph(monkeypatch):
    """Bitwise equal to calls. The smaller last batch has its own graph."""
    replayed_graphs = []
    graph = type(device()).graph

    def counted(self, calls):
        replay = graph(self, calls)
        return lambda: (replayed_graphs.append(len(calls)), replay())

    monkeypatch.setattr(type(device()), "graph", counted)
    called, replayed = Network(), Network()
    step = sg.capture(replayed.step)
    for i in range(12):
        n = 2 if i % 4 == 3 else 3
        x, target = values(n, 3), sg.tensor(RNG.integers(0, 4, n), backend="cuda")
        expected = called.step(x, target)
        replayed_graphs.clear()
        assert step(x, target).tolist() == expected.tolist()
        assert len(replayed_graphs) == (i not in (0, 1, 3, 7))  # these are called and recorded
    assert [p.tolist() for p in called.params] == [p.tolist() for p in replayed.params]
    assert called.draws.call == replayed.draws.call == called.steps == replayed.steps == 12


def test_each_replay_draws_new_random_numbers():
    one, other = sg.Generator(3), sg.Generator(3)

    def draw(generator, x):
        mask = sg.dropout(x, 0.5, generator)
        return mask, sg.rand(5, generator=generator, backend="cuda")

    captured = sg.capture(lambda x: draw(one, x))
    for _ in range(4):
        x = sg.ones(6, backend="cuda")
        assert [a.tolist() for a in captured(x)] == [a.tolist() for a in draw(other, x)]


@pytest.mark.parametrize("loss", [sg.cross_entropy, sg.nll_loss])
def test_a_class_out_of_range_is_reported_with_the_next_value(loss):
    """Checking the classes of a replay at once would mean waiting for the device."""
    captured = sg.capture(lambda x, target: loss(x, target).sum())
    x, correct = sg.ones(7, 3, backend="cuda"), sg.tensor([0, 2, 1, 0, 2, 2, 1], backend="cuda")
    for _ in range(3):
        assert np.isfinite(captured(x, correct).item())
    for index, wrong in ((0, 3), (5, -1), (6, 10**12)):
        target = correct.clone()
        target[index] = wrong
        captured(x, target)
        result = captured(x, correct)
        text = f"{loss.__name__}: target holds class {wrong}: expected 0 to 2, in a replay of a captured function$"
        with pytest.raises(ValueError, match=text):
            result.item()
        assert np.isfinite(result.item())
    target[:] = sg.tensor([0, 1, 8, 7, -6, 2, 9], backend="cuda")
    result = captured(x, target)
    with pytest.raises(ValueError, match="target holds class 8"):
        result.item()


def test_without_a_replay_classes_are_checked_at_once():
    with pytest.raises(ValueError, match=r"target holds class -1: expected 0 to 2$"):
        sg.cross_entropy(sg.ones(2, 3, backend="cuda"), sg.tensor([0, -1], backend="cuda"))


def test_memory_of_a_recording_is_not_reused():
    captured = sg.capture(lambda x: (x + 1) * (x + 2))
    for i in range(6):
        assert captured(sg.full((5,), i, backend="cuda")).tolist() == [(i + 1) * (i + 2)] * 5
        sg.full((5,), -7, backend="cuda")


def test_constants_keep_their_values():
    def with_a_constant(x):
        weights = sg.tensor([1.0, 2.0], backend="cuda")
        out = x * weights
        weights.zero_()
        return out

    captured = sg.capture(with_a_constant)
    for _ in range(4):
        assert captured(sg.ones(2, backend="cuda")).tolist() == [1.0, 2.0]


def test_scalars_need_no_launches():
    """They are kept on the device, with their bits as the key."""
    x = sg.ones(3, backend="cuda")
    captured = sg.capture(lambda x: (x * 2.0, x / 0.0, x / -0.0, x * 2))
    for _ in range(3):
        found = [a.tolist() for a in captured(x)]
    assert found == [[2.0] * 3, [np.inf] * 3, [-np.inf] * 3, [2.0] * 3]
    ((replay,),) = captured._forms.recordings.values()
    (row,) = replay._tape
    assert len(row._calls) == 4
    assert x.backend.constant(2.0, x.dtype) is x.backend.constant(2, x.dtype)
    assert (x + 1e300).tolist() == [np.inf] * 3
    assert (sg.arange(2, backend="cuda") - 2**60).tolist() == [-(2**60), 1 - 2**60]


def test_host_arrays_are_copied_each_time():
    array = np.zeros(2, np.float32)
    captured = sg.capture(lambda x: x + sg.from_numpy(array, backend="cuda"))
    for i in range(4):
        array[:] = i
        assert captured(sg.ones(2, backend="cuda")).tolist() == [i + 1.0, i + 1.0]
