"""no_grad and enable_grad: contexts and decorators, for generators and coroutines, nested, and in threads."""

import asyncio
import functools
import threading

import pytest

from stackgrad.tensor import enable_grad, is_recording, no_grad, set_grad_enabled, tensor

MODES = [(no_grad, False), (enable_grad, True)]


def test_a_context_ends_what_it_began():
    x = tensor([1.0], requires_grad=True)
    assert is_recording()
    with no_grad():
        assert not (x * 2).requires_grad
        with no_grad():
            pass
        assert not is_recording()
        with enable_grad():
            assert (x * 2).requires_grad
        assert not is_recording()
    assert (x * 2).requires_grad


def test_a_context_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert is_recording()


def test_a_leaf_made_under_no_grad_still_records_later():
    with no_grad():
        x = tensor([1.0], requires_grad=True)
    assert (x * 2).requires_grad


@pytest.mark.parametrize(("mode", "recording"), MODES)
def test_one_context_can_be_reused_and_nested(mode, recording):
    context = mode()
    for _ in range(2):
        with context:
            assert is_recording() == recording
            with enable_grad(), context:
                assert is_recording() == recording
            with context:
                pass
            assert is_recording() == recording
        assert is_recording()


@pytest.mark.parametrize(("mode", "recording"), MODES)
@pytest.mark.parametrize("bare", [True, False])
def test_a_decorated_function(mode, recording, bare):
    decorate = mode if bare else mode()

    @decorate
    def depth(n: int = 3) -> int:
        """How deep."""
        assert is_recording() == recording
        return depth(n - 1) + 1 if n else 0

    class Model:
        @decorate
        def predict(self, x, *, scale):
            return is_recording(), x * scale

        @classmethod
        @decorate
        def kind(cls):
            return is_recording(), cls

        @staticmethod
        @decorate
        def free(x):
            return is_recording(), x

    for outer in (no_grad, enable_grad):
        with outer():
            assert depth(2) == 2
            assert is_recording() == (outer is enable_grad)
    assert depth.__name__ == "depth"
    assert depth.__doc__ == "How deep."
    assert Model().predict(2, scale=3) == (recording, 6)
    assert Model.kind() == (recording, Model)
    assert Model.free(1) == (recording, 1)
    assert decorate(functools.partial(Model.free, 5))() == (recording, 5)
    assert is_recording()


@pytest.mark.parametrize(("mode", "recording"), MODES)
def test_a_decorated_generator_has_its_mode_whenever_it_runs(mode, recording):
    seen = []

    @mode()
    def doubled(start):
        given = start
        try:
            while given is not None:
                seen.append(is_recording())
                try:
                    given = yield given * 2
                except KeyError:
                    given = 100
        finally:
            seen.append(is_recording())
        return "end"

    outside = not recording
    with enable_grad() if outside else no_grad():
        values = doubled(1)
        assert next(values) == 2
        assert is_recording() == outside
        assert values.send(5) == 10
        assert values.throw(KeyError) == 200
        assert is_recording() == outside
        with pytest.raises(StopIteration, match="end"):
            values.send(None)
        assert is_recording() == outside
        closed = doubled(1)
        next(closed)
        closed.close()
        assert is_recording() == outside
        failing = doubled(1)
        next(failing)
        with pytest.raises(OSError, match="lost"):
            failing.throw(OSError("lost"))
        assert is_recording() == outside
    assert set(seen) == {recording}


def test_generators_that_are_interleaved():
    @no_grad()
    def without():
        while True:
            yield is_recording()

    @enable_grad
    def recorded():
        while True:
            yield is_recording()

    a, b, c = without(), recorded(), without()
    for _ in range(3):
        assert [next(a), next(b), next(c)] == [False, True, False]
        assert is_recording()


def test_decorated_coroutines_that_take_turns():
    @no_grad()
    async def without(n):
        for _ in range(n):
            assert not is_recording()
            await asyncio.sleep(0)
        return is_recording()

    async def recorded(n):
        for _ in range(n):
            assert is_recording()
            await asyncio.sleep(0)
        return is_recording()

    async def main():
        return await asyncio.gather(without(3), recorded(3), without(4))

    assert asyncio.run(main()) == [False, True, False]


def test_one_decorated_function_in_threads_that_meet():
    inside, done = threading.Barrier(3, timeout=30), []

    @no_grad()
    def work():
        inside.wait()
        done.append(is_recording())
        inside.wait()

    def thread(recording):
        with enable_grad() if recording else no_grad():
            work()
            done.append(is_recording() == recording)

    threads = [threading.Thread(target=thread, args=(i > 0,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(done) == [False] * 3 + [True] * 3


def test_invalid_targets_of_decorators_are_refused():
    async def numbers():
        yield 1

    for wrong in (numbers, int, 5, True):
        with pytest.raises(TypeError, match=r"no_grad or enable_grad of .*: expected a function"):
            no_grad(wrong)


def test_set_grad_enabled():
    x = tensor([1.0], requires_grad=True)
    try:
        set_grad_enabled(False)
        assert not (x * 2).requires_grad
        with set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    finally:
        set_grad_enabled(True)
    with no_grad(), set_grad_enabled(mode=True):
        assert (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_set_grad_enabled_decorates():
    x = tensor([1.0], requires_grad=True)

    @set_grad_enabled(False)
    def double():
        return x * 2

    assert (x * 2).requires_grad
    assert not double().requires_grad
    assert (x * 2).requires_grad
