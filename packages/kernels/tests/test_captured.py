"""Captured functions on the cpu backend: replays do what calls would have done."""

import numpy as np
import pytest

from stackgrad import kernels
from stackgrad import tensor as sg
from stackgrad.kernels.cpu._calls import ChunkError

RNG = np.random.default_rng(0)


def values(*shape):
    return sg.tensor(RNG.standard_normal(shape).astype(np.float32))


class Network:
    """Convolution, batch normalisation, pooling, dropout and a linear layer, trained by Adam."""

    def __init__(self):
        generator = sg.Generator(1)
        shapes = [(4, 1, 3, 3), (4,), (4,), (4,), (10, 36), (10,)]
        self.params = [sg.randn(*s, generator=generator).requires_grad_() for s in shapes]
        self.m, self.v = ([sg.zeros(*s) for s in shapes] for _ in range(2))
        self.running = [sg.zeros(4), sg.ones(4)]
        self.draws, self.steps, self.lr = sg.Generator(2), 0, 0.01

    def step(self, images, labels):
        w1, b1, scale, shift, w2, b2 = self.params
        for p in self.params:
            p.grad = None
        normal, mean, var = sg.batch_norm(sg.conv2d(images, w1, b1), scale, shift, relu=True)
        for running, now in zip(self.running, (mean, var), strict=True):
            running.copy_(running * 0.9 + now * 0.1)
        hidden = sg.max_pool2d(normal, (2, 2), (2, 2)).reshape(-1, 36)
        losses = sg.cross_entropy(sg.linear(sg.dropout(hidden, 0.3, self.draws), w2, b2), labels)
        losses.mean().backward()
        numbers = np.empty(9)

        def count():
            self.steps += 1
            numbers[:] = sg.adam_numbers(self.steps, self.lr / self.steps)

        sg.each_time(count)
        sg.adam_step(self.params, [p.grad for p in self.params], self.m, self.v, numbers)
        return losses.detach(), losses.mean().detach()


def test_training_is_the_same_to_the_bit():
    called, replayed = Network(), Network()
    step = sg.capture(replayed.step)
    for i in range(12):
        n = 5 if i % 4 == 3 else 8  # the last batch of an epoch is smaller
        images, labels = values(n, 1, 8, 8), sg.tensor(RNG.integers(0, 10, n))
        expected, found = called.step(images, labels), step(images, labels)
        assert [x.tolist() for x in found] == [x.tolist() for x in expected]
    for p, q in zip(called.params, replayed.params, strict=True):
        assert p.tolist() == q.tolist()
        assert p.grad.tolist() == q.grad.tolist()
    assert [x.tolist() for x in called.running] == [x.tolist() for x in replayed.running]
    assert (called.steps, called.draws.call) == (replayed.steps, replayed.draws.call) == (12, 12)


def test_the_python_is_left_out_from_the_third_call_on():
    calls = []

    @sg.capture
    def double(x):
        calls.append(1)
        return x * 2

    results = [double(sg.tensor([i, i + 1])) for i in range(5)]
    assert len(calls) == 2
    assert results[4] is results[1]  # the tensor that was made when it was recorded
    assert results[4].tolist() == [8, 10]
    assert double(sg.tensor([1.5])).tolist() == [3.0]
    assert len(calls) == 3


def test_only_so_many_forms_are_recorded():
    calls = []

    @sg.capture
    def double(x):
        calls.append(x.size)
        return x * 2

    for size in range(20):
        for _ in range(3):
            assert double(sg.ones(size)).tolist() == [2.0] * size
    assert [calls.count(size) for size in range(20)] == [2] * 16 + [3] * 4


def test_arguments_are_copied():
    add = sg.capture(lambda x, y: x + y)
    x, y = sg.tensor([1.0, 2.0]), sg.tensor([3.0, 4.0])
    for _ in range(4):
        assert add(x, y).tolist() == [4.0, 6.0]
    assert add(y, y).tolist() == [6.0, 8.0]
    assert x.tolist() == [1.0, 2.0]


def test_what_it_uses_besides_is_used_as_it_is():
    weight = sg.ones(3)
    scale = sg.capture(lambda x: x * weight)
    for factor in (1.0, 2.0, 3.0, 4.0):
        weight.copy_(factor)
        assert scale(sg.ones(3)).tolist() == [factor] * 3


def test_memory_that_is_written_is_made_anew():
    @sg.capture
    def total(x):
        filled, made, wide = sg.zeros(3), sg.tensor([1.0, 1.0, 1.0]), sg.zeros(20_000)
        for _ in range(2):
            filled.add_(x)
            made.add_(x)
            wide[:3] = wide[:3] + x
        return filled, made, wide[:4]

    for i in range(5):
        filled, made, wide = total(sg.full(3, float(i)))
        assert filled.tolist() == [2.0 * i] * 3
        assert made.tolist() == [2.0 * i + 1] * 3
        assert wide.tolist() == [2.0 * i] * 3 + [0.0]


def test_random_numbers_are_drawn_anew():
    def draw(generator, x):
        return (
            x + sg.rand(3, generator=generator),
            sg.randn(2, generator=generator),
            sg.bernoulli(0.5, 9, generator=generator),
        )

    one, other = sg.Generator(3), sg.Generator(3)
    captured = sg.capture(lambda x: draw(one, x))
    for _ in range(5):
        expected = draw(other, sg.ones(3))
        assert [x.tolist() for x in captured(sg.ones(3))] == [x.tolist() for x in expected]


def test_indices_and_classes_are_checked_each_time():
    pick = sg.capture(lambda x, i: x[i])
    x = sg.arange(4.0)
    for places in ([0, 1], [3, 3], [2, 0]):
        assert pick(x, sg.tensor(places)).tolist() == places
    assert pick(x, sg.tensor([-1, -4])).tolist() == [3.0, 0.0]
    with pytest.raises(IndexError, match="index 4 is out of range for dim 0 of extent 4"):
        pick(x, sg.tensor([0, 4]))


@pytest.mark.parametrize("loss", [sg.cross_entropy, sg.nll_loss])
def test_a_class_that_is_none_ends_a_replay_and_not_the_next(loss):
    captured = sg.capture(lambda x, target: loss(x, target[::-1]) * 2)
    x = sg.log_softmax(sg.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]]), 1)
    for _ in range(3):
        expected = captured(x, sg.tensor([2, 0])).tolist()
    for wrong in (3, -1, 2**62):
        text = f"{loss.__name__}: target holds class {wrong}: expected 0 to 2, in a replay of a captured function$"
        with pytest.raises(ValueError, match=text):
            captured(x, sg.tensor([wrong, 0]))
        assert captured(x, sg.tensor([2, 0])).tolist() == expected


def test_a_function_of_the_user_s_that_fails_in_a_replay():
    def inverse(v):
        if v == 0:
            raise ZeroDivisionError
        return 1 / v

    captured = sg.capture(kernels.map(inverse))
    for _ in range(3):
        assert captured(sg.tensor([1.0, 2.0])).tolist() == [1.0, 0.5]
    with pytest.raises(ChunkError, match="raised an exception for some element, in a replay"):
        captured(sg.tensor([1.0, 0.0]))
    assert captured(sg.tensor([4.0, 2.0])).tolist() == [0.25, 0.5]


def test_a_user_s_own_operations():
    cube, smooth = kernels.map(lambda v: v**3), kernels.zip(lambda a, b: (a + b) / 2)
    captured = sg.capture(lambda x: smooth(cube(x), x))
    for i in range(4):
        assert captured(sg.full(5, float(i))).tolist() == [(i**3 + i) / 2] * 5


def test_second_derivatives():
    def curvature(x):
        leaf = x.clone().requires_grad_()
        (first,) = sg.grad((leaf**3).sum(), leaf, create_graph=True)
        return sg.grad(first.sum(), leaf)[0].detach()

    captured = sg.capture(curvature)
    for i in range(4):
        assert captured(sg.full(2, float(i))).tolist() == [6.0 * i] * 2
