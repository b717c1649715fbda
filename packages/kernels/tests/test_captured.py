"""Captured functions on the cpu backend: replays do the same as calls."""

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest

from stackgrad import kernels
from stackgrad import tensor as sg
from stackgrad.kernels.cpu._replay import ChunkError

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
        normal, mean, var = sg.batch_norm(sg.conv2d(images, w1, b1), scale, shift, activation="relu")
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


def test_training_is_bitwise_the_same():
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


def test_python_does_not_run_from_the_third_call_on():
    called = Mock()

    @sg.capture
    def double(x):
        called()
        return x * 2

    results = [double(sg.tensor([i, i + 1])) for i in range(5)]
    assert called.call_count == 2
    assert [x.tolist() for x in results] == [[2 * i, 2 * i + 2] for i in range(5)]  # each result is a new tensor
    assert double(sg.tensor([1.5])).tolist() == [3.0]
    assert called.call_count == 3


def test_the_number_of_recorded_forms_is_limited():
    called = Mock()

    @sg.capture
    def double(x):
        called(x.size)
        return x * 2

    for size in range(20):
        for _ in range(3):
            assert double(sg.ones(size)).tolist() == [2.0] * size
    sizes = [call.args[0] for call in called.call_args_list]
    assert [sizes.count(size) for size in range(20)] == [2] * 16 + [3] * 4


def test_arguments_are_copied():
    add = sg.capture(lambda x, y: x + y)
    x, y = sg.tensor([1.0, 2.0]), sg.tensor([3.0, 4.0])
    for _ in range(4):
        assert add(x, y).tolist() == [4.0, 6.0]
    assert add(y, y).tolist() == [6.0, 8.0]
    assert x.tolist() == [1.0, 2.0]


def test_other_tensors_are_used_without_a_copy():
    weight = sg.ones(3)
    scale = sg.capture(lambda x: x * weight)
    for factor in (1.0, 2.0, 3.0, 4.0):
        weight.copy_(factor)
        assert scale(sg.ones(3)).tolist() == [factor] * 3


def test_memory_that_is_written_is_new_in_each_replay():
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


def test_a_reseeded_generator_needs_no_new_recording():
    python, generator = Mock(), sg.Generator(1)

    @sg.capture
    def draw(x):
        python()
        return x + sg.rand(3, generator=generator), sg.dropout(x, 0.5, generator), sg.randn(2, generator=generator)

    for seed in (1, 1, 5, 2**64 - 1):
        generator.seed, generator.call = seed, 3
        found = draw(sg.ones(3))
        other = sg.Generator(seed)
        other.call = 3
        expected = sg.ones(3) + sg.rand(3, generator=other), sg.dropout(sg.ones(3), 0.5, other)
        assert [x.tolist() for x in found[:2]] == [x.tolist() for x in expected]
        assert found[2].tolist() == sg.randn(2, generator=other).tolist()
        assert generator.call == other.call
    assert python.call_count == 2


def test_each_replay_draws_new_random_numbers():
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
    for indices in ([0, 1], [3, 3], [2, 0]):
        assert pick(x, sg.tensor(indices)).tolist() == indices
    assert pick(x, sg.tensor([-1, -4])).tolist() == [3.0, 0.0]
    with pytest.raises(IndexError, match="index 4 is out of range for dim 0 of extent 4"):
        pick(x, sg.tensor([0, 4]))
    assert pick(x, sg.tensor([-3, 0])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("loss", [sg.cross_entropy, sg.nll_loss])
def test_a_class_out_of_range_ends_one_replay_alone(loss):
    captured = sg.capture(lambda x, target: loss(x, target[::-1]) * 2)
    x = sg.log_softmax(sg.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]]), 1)
    for _ in range(3):
        expected = captured(x, sg.tensor([2, 0])).tolist()
    for wrong in (3, -1, 2**62):
        text = f"{loss.__name__}: target holds class {wrong}: expected 0 to 2$"
        with pytest.raises(ValueError, match=text):
            captured(x, sg.tensor([wrong, 0]))
        assert captured(x, sg.tensor([2, 0])).tolist() == expected


def test_a_user_function_that_fails_in_a_replay():
    def inverse(v):
        if v == 0:
            raise ZeroDivisionError
        return 1 / v

    captured = sg.capture(kernels.map(inverse))
    for _ in range(3):
        assert captured(sg.tensor([1.0, 2.0])).tolist() == [1.0, 0.5]
    with pytest.raises(ChunkError, match="raised an exception for some element: call it"):
        captured(sg.tensor([1.0, 0.0]))
    assert captured(sg.tensor([4.0, 2.0])).tolist() == [0.25, 0.5]


def test_nothing_is_counted_if_a_user_function_fails_before():
    counted = []

    def checked(v):
        if v < 0:
            raise ValueError
        return v

    root = kernels.map(checked)

    def step(x):
        out = root(x)
        sg.each_time(lambda: counted.append(1), ahead=True)
        return out * 2

    captured = sg.capture(step)
    for _ in range(3):
        captured(sg.ones(2))
    with pytest.raises(ChunkError):
        captured(-sg.ones(2))
    assert len(counted) == 3


def test_operations_of_the_user():
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


# --- values that replays follow


def called_and_captured(begin, count=6):
    """Results of a function that `begin` makes, called and captured; arguments depend on the index of the call."""
    seen = []
    for wrap in (lambda function: function, sg.capture):
        function, arguments = begin()
        function = wrap(function)
        seen.append([values_of(function(*arguments(i))) for i in range(count)])
    return seen


def values_of(x):
    if isinstance(x, sg.Tensor):
        return x.shape, x.detach().numpy().tobytes()
    return [values_of(y) for y in x] if isinstance(x, (tuple, list)) else x


def test_a_broadcast_parameter_of_one_element():
    def begin():
        b = sg.tensor(0.0, requires_grad=True)

        def step(x, y):
            b.grad = None
            (((x + b).mean() - y) ** 2).backward()
            return b.grad

        return step, lambda i: (sg.ones(3), sg.tensor(float(i)))

    called, captured = called_and_captured(begin)
    assert captured == called == [((), np.float32(2.0 - 2 * i).tobytes()) for i in range(6)]


@pytest.mark.parametrize("dims", [(0,), (1,), (0, 1), None])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "prod"])
def test_reductions_of_expanded_tensors(name, dims):
    def begin():
        return lambda x: getattr(x.expand(4, 3), name)(dims), lambda i: (sg.full((4, 1), float(i)),)

    called, captured = called_and_captured(begin)
    assert captured == called


def test_an_argument_that_is_written():
    def double(x):
        x.mul_(2.0)
        x[0] = -1.0
        return x

    captured = sg.capture(double)
    for i in range(5):
        x = sg.full(3, float(i))
        assert captured(x) is x
        assert x.tolist() == [-1.0, 2.0 * i, 2.0 * i]
        assert x.version.count == 2
    part = sg.zeros(4, 3)
    captured(part[1])
    assert part.tolist() == [[0.0] * 3, [-1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]


def test_results_are_new_each_time_unless_asked_otherwise():
    square, again = sg.capture(lambda x: (x * x).sum()), sg.capture(reuse_results=True)(lambda x: (x * x).sum())
    kept, same = [], []
    for i in range(5):
        kept.append(square(sg.full(2, float(i))))
        same.append(again(sg.full(2, float(i))))
    assert [x.item() for x in kept] == [2.0 * i * i for i in range(5)]
    assert same[4] is same[3]
    assert same[4].item() == 32.0


def test_gradients_are_new_tensors():
    w = sg.ones(2, requires_grad=True)

    @sg.capture
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    kept = []
    for i in range(5):
        step(sg.full(2, float(i)))
        kept.append(w.grad)
        assert w.grad is w.grad
    assert [g.tolist() for g in kept] == [[float(i)] * 2 for i in range(5)]


def test_gradients_add_up_over_calls():
    w = sg.ones(2, requires_grad=True)
    step = sg.capture(lambda x: (w * x).sum().backward())
    for i in range(6):
        step(sg.full(2, float(i)))
        assert w.grad.tolist() == [float(sum(range(i + 1)))] * 2
    w.grad = None
    step(sg.ones(2))
    assert w.grad.tolist() == [1.0, 1.0]


def test_arguments_with_other_strides_are_other_forms():
    total = sg.capture(lambda x: (x / 3).sum(0))
    x = values(40, 30)
    for view in (x, x.T.clone().T, x[::2], x[:, ::-1], x[:1].expand(40, 30)):
        expected = (view / 3).sum(0).tolist()
        for _ in range(3):
            assert total(view).tolist() == expected


def test_an_error_in_a_replay_leaves_no_partial_step():
    called, replayed = Network(), Network()
    step = sg.capture(replayed.step)
    for i in range(6):
        images, labels = values(8, 1, 8, 8), sg.tensor(RNG.integers(0, 10, 8))
        if i == 3:
            wrong = labels.clone()
            wrong[2] = 10
            for function in (called.step, step):
                with pytest.raises(ValueError, match="target holds class 10"):
                    function(images, wrong)
        expected, found = called.step(images, labels), step(images, labels)
        assert [x.tolist() for x in found] == [x.tolist() for x in expected]
    assert called.steps == replayed.steps == 6
    assert [p.tolist() for p in called.params] == [p.tolist() for p in replayed.params]


def test_calls_from_several_threads_wait_for_each_other():
    square = sg.capture(lambda x: (x * x).sum())
    for _ in range(3):
        square(sg.ones(1000))

    def work(i):
        return [square(sg.full(1000, float(i))).item() for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == [[1000.0 * i * i] * 50 for i in range(8)]
