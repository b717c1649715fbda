"""`view` succeeds where PyTorch's does, whatever the order in memory."""

import gc
import weakref

import numpy as np
import pytest

from stackgrad.tensor import arange, conv2d, from_numpy, max_pool2d, no_grad, ones, rand, softmax, tensor


def images(requires_grad=False):
    return rand(2, 3, 4, 4, dtype="float64").requires_grad_(requires_grad)


RESULTS = {
    "conv2d": lambda x: conv2d(x, ones(5, 3, 3, 3, dtype="float64")),
    "max_pool2d": lambda x: max_pool2d(x, (2, 2), (2, 2)),
    "softmax": lambda x: softmax(x, 1),
    "elementwise": lambda x: conv2d(x, ones(5, 3, 3, 3, dtype="float64")).relu(),
    "a part": lambda x: conv2d(x, ones(5, 3, 3, 3, dtype="float64"))[:1],
    "without a dimension": lambda x: conv2d(x[:1], ones(5, 3, 3, 3, dtype="float64")).squeeze(),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_viewed_as_rows(name):
    x = images()
    out = RESULTS[name](x)
    rows = out.view(len(out), -1)
    np.testing.assert_array_equal(rows.numpy(), out.numpy().reshape(len(out), -1))
    assert rows.version is out.version
    assert np.array_equal(out.view(-1).numpy(), out.numpy().reshape(-1))
    expected = out.numpy().copy()
    rows += 1  # in one of them
    out *= 2  # in the other one
    np.testing.assert_allclose(out.numpy(), (expected + 1) * 2)
    np.testing.assert_allclose(rows.numpy(), ((expected + 1) * 2).reshape(len(out), -1))


@pytest.mark.parametrize("name", RESULTS)
def test_gradients_flow_through_views_that_are_written(name):
    found = []
    for inplace in (True, False):
        x = images() if not found else found[0][0].detach().clone()
        x.requires_grad_()
        out = RESULTS[name](x) * 1
        rows = out.view(len(out), -1)
        if inplace:
            rows *= 3
            out[:, :1] += 1
            loss = (rows * rows).sum() + out.sum()
        else:
            scaled = rows * 3
            more = scaled.reshape(*out.shape) + 0
            mask = np.zeros(out.shape)
            mask[:, :1] = 1
            more = more + tensor(mask)
            loss = (more * more).sum() + more.sum()
        loss.backward()
        found.append((x, x.grad.numpy()))
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)


def test_views_that_pytorch_refuses():
    x = conv2d(rand(2, 3, 6, 6, dtype="float64"), ones(5, 3, 3, 3, dtype="float64"))
    for y in (
        x.permute(0, 2, 3, 1),
        x.transpose(2, 3),
        x[:, :, 1:],
        x.T.detach(),
        ones(2, 1).expand(2, 3),
    ):
        with pytest.raises(ValueError, match=r"its strides need a copy; use reshape\(...\)"):
            y.view(-1)
    with no_grad():
        y = x.permute(0, 2, 3, 1)
    with pytest.raises(ValueError, match="its strides need a copy"):
        y.view(-1)
    with pytest.raises(ValueError, match="its strides need a copy"):
        from_numpy(np.ones((2, 3)).T).view(6)
    with pytest.raises(ValueError, match="its strides need a copy"):
        from_numpy(np.ones((2, 3)).T).detach().view(6)


def test_permuting_back_and_forth_allows_a_view():
    x = conv2d(images(), ones(5, 3, 3, 3, dtype="float64"))
    for y in (x.permute(0, 2, 3, 1).permute(0, 3, 1, 2), x.unsqueeze(0)[0], x[:, None].squeeze(1), x.detach()):
        assert y.view(2, -1).version is x.version
    with no_grad():
        y = x.permute(0, 2, 3, 1).permute(0, 3, 1, 2)
    assert y.view(2, -1).version is x.version


def test_a_write_to_a_view_changes_the_version_of_saved_tensors():
    x = images(requires_grad=True)
    out = softmax(x, 1)
    with no_grad():
        out.view(2, -1).mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        out.sum().backward()


def test_selected_elements_are_viewed():
    x = arange(12).reshape(3, 4)
    assert x[:, [0, 2]].view(-1).tolist() == [0, 2, 4, 6, 8, 10]
    assert x[[0, 2]].view(-1).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_chains_of_views_are_bounded():
    x = ones(2, 3)
    first = weakref.ref(x)
    for _ in range(1000):
        x = x.T
    gc.collect()
    assert first() is None
    x[0] = 5
    assert x.tolist() == [[5.0, 5.0, 5.0], [1.0, 1.0, 1.0]]


def test_a_long_chain_of_views_with_a_gradient():
    w = tensor([1.0, 2.0], requires_grad=True)
    x = h = w * 1
    for _ in range(3000):
        x = x[:]
    x *= 3
    h.sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]
    assert x.view(2, 1).shape == (2, 1)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(2, 3),
        lambda x: x.view(2, -1),
        lambda x: x.expand(-1, 3),
        lambda x: x.squeeze(),
        lambda x: x.squeeze(1),
    ],
)
@pytest.mark.parametrize("layout", [lambda x: x.reshape(2, 3), lambda x: x.reshape(3, 2).T])
def test_a_view_that_changes_nothing_is_a_new_tensor(view, layout):
    x = layout(arange(6.0))
    y = view(x).requires_grad_()
    assert not x.requires_grad
    assert y.version is x.version
    (y * y).sum().backward()
    assert y.grad is not None
    assert x.grad is None
    leaf = ones(2, 3, requires_grad=True)
    assert not view(leaf).is_leaf
    view(leaf).sum().backward()
    assert leaf.grad.tolist() == [[1.0] * 3] * 2
