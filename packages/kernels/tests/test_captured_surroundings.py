"""Dependencies of captured functions besides tensors: those that replays follow, and those that they refuse."""

import argparse
import array
import collections
import copy
import itertools
import random
import types
from unittest.mock import Mock

import numpy as np
import pytest

import stackgrad.tensor as sg

CALLS = 6


class Slots:
    __slots__ = ("scale",)


class Plain:
    scale = 1.0


def with_scale(settings):
    settings.scale = 1.0
    return settings


def of_attribute(settings):
    return lambda x: x * settings.scale, lambda i: setattr(settings, "scale", i)


def of_entry(values, key=0):
    return lambda x: x * float(values[key]), lambda i: values.__setitem__(key, i)


class Step:
    def __init__(self, call):
        self.call = call


def of_called_attribute():
    steps = [Step(abs)]
    return lambda x: sum(step.call(x) for step in steps), lambda i: setattr(steps[0], "call", lambda x: x * i)


def of_class():
    it = Plain()
    return lambda x: x * it.scale, lambda i: setattr(Plain, "scale", i)


def of_set():
    values = {1.0}

    def change(i):
        values.clear()
        values.add(float(i))

    return lambda x: x * sum(values), change


def of_copied_array(dtype, count):
    values = np.ones(count, dtype)
    return lambda x: x * sg.tensor(values[:2], dtype="float32"), lambda i: values.fill(i)


def of_shared_array():
    values = np.ones(5000, np.float32)
    return lambda x: x * sg.from_numpy(values[:2]), lambda i: values.fill(i)


def of_array_written_through_a_tensor():
    values = np.ones(2, np.float32)

    def function(x):
        w = sg.from_numpy(values)
        return x * w.add_(1.0)

    return function, lambda i: values.fill(i)


FOLLOWED = {
    "attribute of SimpleNamespace": lambda: of_attribute(with_scale(types.SimpleNamespace())),
    "attribute of argparse's Namespace": lambda: of_attribute(with_scale(argparse.Namespace())),
    "attribute in slots": lambda: of_attribute(with_scale(Slots())),
    "attribute of a class": of_class,
    "attribute that is called": of_called_attribute,
    "attribute of a function": lambda: of_attribute(with_scale(lambda: None)),
    "list": lambda: of_entry([1.0]),
    "defaultdict": lambda: of_entry(collections.defaultdict(float), "key"),
    "set": of_set,
    "bytearray": lambda: of_entry(bytearray(3)),
    "array of Python": lambda: of_entry(array.array("d", [1.0])),
    "array of NumPy, read as scalars": lambda: of_entry(np.ones(2)),
    "long array of float32, copied": lambda: of_copied_array(np.float32, 5000),
    "short array of float64, copied": lambda: of_copied_array(np.float64, 2),
    "short array of int32, copied": lambda: of_copied_array(np.int32, 2),
    "long array, shared": of_shared_array,
    "array written through a tensor": of_array_written_through_a_tensor,
}


def results(name, wrap):
    function, change = FOLLOWED[name]()
    function = wrap(function)
    found = []
    for i in range(CALLS):
        change(i)
        found.append(function(sg.tensor([1.0, i])).tolist())
    return found


@pytest.mark.parametrize("name", FOLLOWED)
def test_changes_between_calls(name):
    assert results(name, sg.capture) == results(name, lambda function: function)


def drawing(draw):
    return lambda x: x * float(draw())


rng = np.random.default_rng(0)
python = random.Random(0)
old = np.random.RandomState(0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * random.random(),
        lambda x: x * random.gauss(0, 1),
        lambda x: x * python.uniform(0, 1),
        lambda x: x * float(np.random.rand()),
        lambda x: x * float(rng.normal()),
        lambda x: x * float(old.normal()),
        lambda x: x + sg.tensor(rng.normal(size=2)),
        drawing(random.random),
        drawing(rng.normal),
        drawing(np.random.rand),
    ],
)
def test_random_numbers_of_other_libraries_are_refused(function):
    captured = sg.capture(function)
    captured(sg.ones(2))
    with pytest.raises(RuntimeError, match=r"drew from .*: draw outside, and pass the values, or use the random"):
        captured(sg.ones(2))


def test_generators_may_draw_for_others_between_calls():
    noisy, called = False, Mock()

    def function(x):
        called()
        return x + float(rng.normal()) if noisy else x * 2

    captured = sg.capture(function)
    for i in range(CALLS):
        rng.normal()
        assert captured(sg.full(2, float(i))).tolist() == [2.0 * i] * 2
    assert called.call_count == 2


def counting():
    n = 0
    while True:
        n += 1
        yield n


@pytest.mark.parametrize(
    "iterator", [iter([1, 2, 3]), itertools.count(), counting(), map(abs, [1, 2]), reversed([1, 2])], ids=type
)
def test_iterators_are_refused(iterator):
    captured = sg.capture(lambda x: x * next(iterator))
    captured(sg.ones(2))
    with pytest.raises(RuntimeError, match="a captured function uses iterator, an iterator, whose next value a replay"):
        captured(sg.ones(2))


class Scaling:
    """An object whose attributes a captured method uses."""

    def __init__(self):
        self.factor, self.weight, self.flag = 2.0, sg.ones(2), True
        self.untouched = []

    @sg.capture
    def scale(self, x, *, offset):
        """Documented."""
        return x * self.factor + offset if self.flag else x * self.weight


def test_methods_keyword_arguments_and_names():
    one, other = Scaling(), Scaling()
    other.factor = 3.0
    for _ in range(4):
        one.untouched.append(0)  # not named in the method
        assert one.scale(sg.ones(2), offset=sg.ones(2)).tolist() == [3.0, 3.0]
        assert other.scale(sg.ones(2), offset=sg.zeros(2)).tolist() == [3.0, 3.0]
    assert (Scaling.scale.__name__, Scaling.scale.__doc__) == ("scale", "Documented.")
    assert isinstance(one.scale, sg.Captured)
    another = copy.deepcopy(one)
    another.factor = 5.0
    for _ in range(3):
        assert another.scale(sg.ones(2), offset=sg.ones(2)).tolist() == [6.0, 6.0]
        assert one.scale(sg.ones(2), offset=sg.ones(2)).tolist() == [3.0, 3.0]


def test_names_in_the_code_may_change_between_calls():
    it, x = Scaling(), sg.full(2, 3.0)
    for _ in range(3):
        assert it.scale(x, offset=x).tolist() == [9.0, 9.0]
    it.factor = 4.0
    assert it.scale(x, offset=x).tolist() == [15.0, 15.0]
    it.flag = False
    assert it.scale(x, offset=x).tolist() == [3.0, 3.0]
    it.weight = sg.full(2, 5.0)
    assert it.scale(x, offset=x).tolist() == [15.0, 15.0]
    it.factor, it.flag = 2.0, True
    assert it.scale(x, offset=x).tolist() == [9.0, 9.0]


def test_a_variable_that_changes_each_time_ends_recording_with_a_warning():
    rate = 0.0
    captured = sg.capture(lambda x: x * rate)
    for i in range(17):
        rate = float(i)
        assert captured(sg.ones(2)).tolist() == [rate] * 2
    rate = 17.0
    with pytest.warns(RuntimeWarning, match="was recorded 16 times, the last time because rate changed"):
        assert captured(sg.ones(2)).tolist() == [17.0] * 2
    rate = 18.0
    assert captured(sg.ones(2)).tolist() == [18.0] * 2


class Trainer:
    """It counts its steps in an attribute with the name of the optimizer's method."""

    def __init__(self):
        self.optimizer, self.step, self.called = Stepper(), 0, Mock()

    def learn(self, x):
        self.optimizer.step(x)
        self.called()


class Stepper:
    def __init__(self):
        self.total = sg.zeros(2)

    def step(self, x):
        self.total.add_(x)


def test_an_attribute_matters_only_if_the_code_uses_it():
    trainer = Trainer()
    learn = sg.capture(trainer.learn)
    for _ in range(30):
        learn(sg.ones(2))
        trainer.step += 1
    assert trainer.optimizer.total.tolist() == [30.0, 30.0]
    assert trainer.called.call_count == 2


class Noisy:
    def __init__(self, generator):
        self.generator = generator

    def call(self, x):
        return sg.dropout(x, 0.5, generator=self.generator)


def test_a_method_with_the_name_of_data_of_other_objects():
    steps = [Noisy(sg.Generator(0)), Noisy(sg.Generator(1))]

    def function(x):
        for step in steps:
            x = step.call(x)
        return x

    captured = sg.capture(function)
    for _ in range(CALLS):
        captured(sg.ones(4))
    assert steps[0].generator.call == CALLS
    assert "1 recording" in repr(captured)
