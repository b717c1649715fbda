"""Hooks on leaves: called with each whole gradient, in the middle of a backward pass."""

import gc

import pytest

from stackgrad.tensor import _hooks, capture, ones, tensor


def leaf(*values):
    return tensor(list(values), requires_grad=True)


def test_a_hook_is_called_once_with_the_whole_gradient_added():
    x, seen = leaf(1.0, 2.0), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append((p is x, p.grad.tolist())))
    for _ in range(2):
        (x * 3 + x * x).sum().backward()
    assert seen == [(True, [5.0, 7.0]), (True, [10.0, 14.0])]


def test_the_backward_pass_continues_after_a_hook():
    first, last, order = leaf(2.0), leaf(3.0), []
    for name, x in (("first", first), ("last", last)):
        x.register_post_accumulate_grad_hook(lambda p, name=name: order.append((name, first.grad is None)))
    ((first * 2).exp() * last).sum().backward()
    assert order == [("last", True), ("first", False)]


def test_a_hook_may_replace_the_gradient():
    x = leaf(1.0, 2.0)

    def halve(p):
        p.grad = p.grad / 2

    with x.register_post_accumulate_grad_hook(halve):
        (x * 4).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    (x * 4).sum().backward()  # it is removed
    assert x.grad.tolist() == [6.0, 6.0]


def test_several_hooks_are_called_in_their_order_and_each_is_removed_alone():
    x, seen = leaf(1.0), []
    handles = [x.register_post_accumulate_grad_hook(lambda p, i=i: seen.append(i)) for i in range(3)]
    handles[1].remove()
    handles[1].remove()
    x.sum().backward()
    assert seen == [0, 2]


def test_only_leaves_that_require_a_gradient_have_hooks():
    for x in (leaf(1.0) * 2, ones(2)):
        with pytest.raises(RuntimeError, match="not a leaf with requires_grad"):
            x.register_post_accumulate_grad_hook(print)


def test_hooks_end_with_their_leaf():
    x = leaf(1.0)
    before = len(_hooks.after_gradient)
    x.register_post_accumulate_grad_hook(print)
    assert len(_hooks.after_gradient) == before + 1
    del x
    gc.collect()
    assert len(_hooks.after_gradient) == before


def test_captured_functions_run_hooks():
    x = leaf(1.0, 2.0)
    x.register_post_accumulate_grad_hook(lambda p: p.give_grad(p.grad * 10))

    @capture
    def step(y):
        x.grad = None
        (x * y).sum().backward()

    for i in range(4):
        step(tensor([float(i), 1.0]))
        assert x.grad.tolist() == [10.0 * i, 10.0]
