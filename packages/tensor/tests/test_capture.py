"""Captured functions on NumPy, which calls them each time, and what every backend refuses."""

import copy
from pathlib import Path

import numpy as np
import pytest

import stackgrad.tensor
from stackgrad.tensor import (
    Captured,
    Generator,
    Launches,
    NumpyBackend,
    Tape,
    capture,
    capturing,
    each_time,
    ones,
    rand,
    tensor,
)
from stackgrad.tensor._tape import captured_on


def test_on_numpy_the_function_is_called_each_time():
    calls = []

    @capture
    def double(x):
        calls.append(x.shape)
        return x * 2, x.sum()

    for value in (1.0, 2.0, 3.0, 4.0):
        twice, total = double(tensor([value, value]))
        assert (twice.tolist(), total.item()) == ([2 * value] * 2, 2 * value)
    assert calls == [(2,)] * 4
    assert isinstance(double, Captured)


def test_each_time_runs_at_once_outside_a_capture():
    done = []
    each_time(lambda: done.append(1))
    assert done == [1]
    assert capturing.tape is None


class _Row(Launches):
    def add(self, *launch):
        pass

    def __call__(self):
        pass


@pytest.mark.parametrize(
    ("done", "order"),
    [
        ("row a b", "a b row"),  # ahead of the launches, in their order
        ("a row b", "a b row"),
        ("row A b", "row A b"),  # capitals read tensors: no work is moved ahead of these
        ("row a B c", "a row B c"),
        ("row A row b", "row A b row"),
        ("a", "a"),
    ],
)
def test_work_ahead_keeps_launches_in_a_row(done, order):
    played = []
    with captured_on(tape := Tape()):
        for name in done.split():
            if name == "row":
                tape.append(_Row())
            else:
                each_time(lambda name=name: played.append(name), ahead=name.islower())
    assert played == [name for name in done.split() if name != "row"]
    played.clear()
    for work in tape:
        played.append("row") if isinstance(work, Launches) else work()
    assert " ".join(played) == order


def test_arguments_are_tensors_without_gradients():
    double = capture(lambda x: x * 2)
    with pytest.raises(TypeError, match="a captured function was given ndarray: expected tensors alone"):
        double(np.ones(2))
    with pytest.raises(ValueError, match=r"was given a tensor of shape \(2,\) that requires a gradient.*pass .detach"):
        double(ones(2, requires_grad=True))


def test_draws_continue_in_replays():
    draws = [rand(3, generator=generator) for generator in [Generator(5)] for _ in range(4)]
    generator = Generator(5)
    draw = capture(lambda x: x + rand(3, generator=generator))
    assert [draw(ones(3)).tolist() for _ in range(4)] == [(1 + expected).tolist() for expected in draws]


class _Recording(NumpyBackend):
    """Claims to be captured and records nothing, which is enough to test what is refused on a tape."""

    name = "recording"
    captures = True


BACKEND = _Recording()


def x(*values):
    return tensor(list(values), backend=BACKEND)


def twice(function, *arguments):
    """Call the captured function twice: the second call is recorded."""
    captured = capture(function)
    captured(*arguments)
    return captured(*arguments)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda a: a.sum().item(), r"item\(\)"),
        (lambda a: float(a.sum()), r"item\(\)"),
        (lambda a: a if a.sum() > 0 else a * 2, r"item\(\)"),
        (lambda a: a.numpy(), r"numpy\(\)"),
        (lambda a: np.asarray(a), r"numpy\(\)"),
        (lambda a: a.tolist(), r"tolist\(\)"),
        (lambda a: repr(a), "repr"),
        (lambda a: f"{a.sum()}", r"item\(\)"),
        (lambda a: copy.copy(a), "copy or pickle of a tensor"),
        (lambda a: np.from_dlpack(a), r"__dlpack__\(\)"),
        (lambda a: a[a > 0], "a mask as an index"),
        (lambda a: tensor(a), r"tensor\(...\) of a tensor"),
        (lambda a: a.to("numpy"), r"to\('numpy'\)"),
    ],
)
def test_reading_values_is_refused(function, what):
    with pytest.raises(RuntimeError, match=f"{what} in a captured function.*return the tensor, and read it outside"):
        twice(function, x(1.0, 2.0))
    assert capturing.tape is None


def test_one_method_alone_reads_values():
    source = Path(stackgrad.tensor.__file__).parent
    calls = [path.name for path in source.glob("*.py") for _ in range(path.read_text().count("to_numpy("))]
    defined = ["_backend.py", "_host.py", "_expression.py"]  # the last one has no values
    on_the_host = ["_backend.py", "_host_buffer.py"]  # checked_index and what ranks send: replays repeat both
    assert sorted(calls) == sorted([*defined, *on_the_host])
    assert "self.backend.to_numpy)(self.data)" in (source / "_value.py").read_text()


def test_each_time_may_read_values():
    seen = []
    twice(lambda a: each_time(lambda: seen.append(a.tolist())), x(1.0))
    assert seen == [[1.0], [1.0]]


def test_a_tensor_of_a_backend_that_is_not_recorded_is_refused():
    other = ones(2, backend="numpy")
    with pytest.raises(
        RuntimeError, match=r"a tensor on backend 'numpy' in a captured function: .* bring it over before"
    ):
        twice(lambda a: other * 2, x(1.0))


def test_gradients_add_to_those_from_before():
    weight = x(1.0, 2.0).requires_grad_()

    def step(a):
        (a * weight).sum().backward()

    twice(step, x(3.0, 4.0))
    assert weight.grad.tolist() == [6.0, 8.0]


def test_gradients_of_the_same_call_add_up():
    weight = x(1.0, 2.0).requires_grad_()

    def step(a):
        weight.grad = None
        for _ in range(3):
            (a * weight).sum().backward()

    twice(step, x(3.0, 4.0))
    assert weight.grad.tolist() == [9.0, 12.0]


def test_a_result_with_a_history_is_refused():
    weight = x(1.0, 2.0).requires_grad_()
    with pytest.raises(RuntimeError, match=r"returned a tensor of shape \(2,\) with a history.*or return .detach\(\)"):
        twice(lambda a: a * weight, x(3.0, 4.0))
    assert twice(lambda a: (a * weight).detach(), x(3.0, 4.0)).tolist() == [3.0, 8.0]


def test_one_capture_in_another_is_refused():
    inner = capture(lambda a: a * 2)
    with pytest.raises(RuntimeError, match="called while another one is recorded: capture the outer alone"):
        twice(lambda a: inner(a), x(3.0))
    assert capturing.tape is None


# --- changes that a replay could not follow


class Count:
    def __init__(self):
        self.calls, self.log, self.kept = 0, [], {}


COUNT = Count()


def counted(a):
    COUNT.calls += 1
    return a * 2


def logged(a):
    COUNT.log.append(a)
    return a * 2


def remembered(a):
    COUNT.kept["last"] = a
    return a * 2


@pytest.mark.parametrize(
    ("function", "what"), [(counted, "COUNT.calls"), (logged, "COUNT.log"), (remembered, r"COUNT.kept\['last'\]")]
)
def test_changes_of_python_objects_are_refused(function, what):
    COUNT.kept["last"] = None
    with pytest.raises(RuntimeError, match=rf"changed {what}, which a replay would not do: .* each_time\(...\)$"):
        twice(function, x(1.0))


def test_a_variable_of_the_function_around_is_seen():
    total = 0

    def step(a):
        nonlocal total
        total += 1
        return a * 2

    with pytest.raises(RuntimeError, match="a captured function changed total, which a replay would not do"):
        twice(step, x(1.0))


def test_changes_in_each_time_are_followed():
    calls = []
    twice(lambda a: each_time(lambda: calls.append(len(calls))), x(1.0))
    assert calls == [0, 1]


@pytest.mark.parametrize("value", [1.0, 3, "text", np.ones(2)])
def test_results_are_tensors(value):
    with pytest.raises(
        TypeError, match=rf"returned a value of type {type(value).__name__}, which replays would repeat"
    ):
        twice(lambda a: (a, {"also": [value]}), x(1.0))


def test_results_in_tuples_lists_and_dicts():
    found = twice(lambda a: (a, None, [a * 2, {"third": a * 3}]), x(1.0))
    assert (found[1], found[2][0].tolist(), found[2][1]["third"].tolist()) == (None, [2.0], [3.0])


def test_views_of_arguments_and_of_other_results_are_refused():
    with pytest.raises(RuntimeError, match=r"returned a view of shape \(1, 2\) of an argument, .*: return .clone\(\)"):
        twice(lambda a: a.reshape(1, 2), x(1.0, 2.0))

    def two_of_one(a):
        twice = a * 2
        return twice, twice[:1]

    with pytest.raises(RuntimeError, match=r"that shares memory with another result or a gradient: return .clone\(\)"):
        twice(two_of_one, x(1.0, 2.0))


def test_a_history_from_outside_is_refused():
    weight = x(1.0).requires_grad_()
    outside = weight * 2
    with pytest.raises(RuntimeError, match=r"shape \(1,\) with a history from outside.*: compute it in the function"):
        twice(lambda a: (outside * a).sum().backward(retain_graph=True), x(3.0))


def test_writes_to_memory_that_is_also_an_argument_are_refused():
    kept = x(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"\(2,\) that is an argument and also used otherwise.*: pass .clone\(\)"):
        twice(lambda a: kept.add_(a), kept)
    with pytest.raises(RuntimeError, match=r"shape \(2,\) that is an argument and also used otherwise"):
        twice(lambda a, b: a.add_(b), kept, kept)


def test_without_arguments_numpy_calls_the_function():
    weight = ones(2, requires_grad=True)
    step = capture(lambda: (weight * 2).sum().backward())
    for _ in range(3):
        step()
    assert weight.grad.tolist() == [6.0, 6.0]


def test_a_captured_function_says_what_it_is():
    def double(x):
        return x * 2

    captured = capture(double)
    assert repr(captured) == f"Captured({double.__qualname__}, 0 recordings)"
