"""Functions of tensors, captured on the cpu backend: checks, refusals, random draws and new tensors in replays."""

import numpy as np
import pytest

from stackgrad import tensor as sg

X = [[0.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def replayed(function, *arguments):
    """The results of a captured function that is called, recorded and replayed."""
    captured = sg.capture(function)
    return [captured(*[sg.tensor(x) for x in arguments]) for _ in range(4)]


def refused(function, good, bad, error, message):
    """Check that a replay of a captured function raises for `bad`, and that later ones work."""
    captured = sg.capture(function)
    for _ in range(3):
        captured(*map(sg.tensor, good))
    with pytest.raises(error, match=message):
        captured(*map(sg.tensor, bad))
    captured(*map(sg.tensor, good))


def test_checks_are_made_in_replays():
    x, y = [5, 7], [3, 2]
    refused(lambda x, y: x % y, (x, y), (x, [3, 0]), ZeroDivisionError, "remainder by zero")
    refused(lambda x, y: x // y, (x, y), (x, [3, 0]), ZeroDivisionError, "floor_divide by zero")
    refused(lambda x, y: x**y, (x, y), (x, [3, -1]), ValueError, "an integer to a negative power")
    refused(lambda x, i: x.gather(1, i), (X, [[2]]), (X, [[3]]), IndexError, "gather: index 3 is out of range")
    refused(lambda x, i: x.index_select(0, i), (X, [1]), (X, [2]), IndexError, "index_select: index 2 is out of")
    message = "a weight is negative, infinite or NaN"
    refused(lambda x: sg.multinomial(x, 1), ([1.0, 2.0],), ([1.0, -2.0],), ValueError, message)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.unique(),
        lambda x: x.nonzero(),
        lambda x: x.masked_select(x > 0),
        lambda x: x.repeat_interleave(x[0].long()),
        lambda x: sg.tensor(x.allclose(x)),
        lambda x: sg.tensor(x.equal(x)),
    ],
)
def test_functions_that_depend_on_values_are_refused(function):
    captured = sg.capture(function)
    x = sg.tensor(np.array(X, np.float32)[:, :1].repeat(6, 1)[:1])
    captured(x)
    with pytest.raises(RuntimeError, match="in a captured function"):
        captured(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda g: sg.randint(100, (5,), generator=g),
        lambda g: sg.randperm(20, generator=g),
        lambda g: sg.multinomial(sg.ones(4, 9), 3, generator=g),
        lambda g: sg.multinomial(sg.ones(9), 30, replacement=True, generator=g),
        lambda g: sg.normal(0.0, sg.ones(3), generator=g),
        lambda g: sg.empty(5).uniform_(2, 3, generator=g),
        lambda g: sg.empty(5).normal_(generator=g),
        lambda g: sg.bernoulli(sg.full((30,), 0.5), generator=g),
        lambda g: sg.randn_like(sg.ones(3), generator=g),
    ],
)
def test_replays_draw_the_same_as_calls(make):
    of_calls, of_replays = sg.Generator(3), sg.Generator(3)
    captured = sg.capture(lambda x: make(of_replays).clone())
    found = [captured(sg.ones(1)).tolist() for _ in range(4)]
    assert found == [make(of_calls).tolist() for _ in range(4)]
    assert found[2] != found[3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: sg.arange(3),
        lambda: sg.eye(2),
        lambda: sg.linspace(0, 1, 3),
        lambda: sg.tril_indices(2, 2),
        lambda: sg.zeros(2),
        lambda: sg.tensor([1, 2]),
        lambda: sg.ones(2, 2).tril(),
    ],
)
def test_each_replay_creates_new_tensors(make):
    def step(x):
        out = make()
        out += 1
        return out.clone()

    results = replayed(step, [1.0])
    assert [out.tolist() for out in results] == [(make() + 1).tolist()] * 4


def test_a_module_s_names_are_found_in_a_captured_function():
    def step(x):
        return sg.logspace(0, 1, 2) + sg.flipud(x)[:2]

    assert len({str(out.tolist()) for out in replayed(step, [1.0, 2.0, 3.0])}) == 1
