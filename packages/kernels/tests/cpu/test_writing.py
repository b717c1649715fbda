"""Read-only memory: kernels ignore NumPy's flag, so it must not reach one as a target."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.course import tensor_conv1d, tensor_conv2d
from stackgrad.kernels.cpu import _indexing

WRITES = {
    "a slice": lambda x: x.__setitem__(slice(1), 0),
    "an integer": lambda x: x.__setitem__(0, 0),
    "all": lambda x: x.__setitem__(..., 0),
    "a mask": lambda x: x.__setitem__(x > 0, 0),
    "a list": lambda x: x.__setitem__([1, 0], 0),
    "an index": lambda x: x.__setitem__(sg.tensor([1]), 0),
    "add_": lambda x: x.add_(1),
    "+=": lambda x: x.__iadd__(1),
    "copy_": lambda x: x.copy_(0),
    "sgd_step": lambda x: sg.sgd_step([x], [sg.ones(2, 3)], None, sg.sgd_numbers(0.1)),
    "adam_step": lambda x: sg.adam_step(
        [sg.ones(2, 3)], [sg.ones(2, 3)], [sg.ones(2, 3)], [x], sg.adam_numbers(1, 0.1)
    ),
    "tensor_conv1d": lambda x: tensor_conv1d(x[None], sg.ones(1, 1, 3), sg.ones(2, 1, 2), False),
    "tensor_conv2d": lambda x: tensor_conv2d(x[None, None], sg.ones(1, 1, 2, 3), sg.ones(1, 1, 2, 2), True),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_map_of_a_file(name, tmp_path):
    values = np.arange(1, 7, dtype=np.float32)
    values.tofile(tmp_path / "values")
    mapped = np.memmap(tmp_path / "values", np.float32, "r", shape=(2, 3))
    with pytest.raises(ValueError, match=r"read-only|cannot be written to"):
        WRITES[name](sg.from_numpy(mapped))
    assert np.array_equal(np.fromfile(tmp_path / "values", np.float32), values)


@pytest.mark.parametrize("convolve", [tensor_conv1d, tensor_conv2d])
def test_read_only_arrays_as_out(convolve):
    ndim = 3 if convolve is tensor_conv1d else 4
    out = np.frombuffer(bytes(4 * 4), np.float32).reshape((1,) * (ndim - 1) + (4,))
    with pytest.raises(ValueError, match="read-only"):
        convolve(out, np.ones_like(out), np.ones((1,) * ndim, np.float32), False)
    assert not out.any()


def test_bytes_are_unchanged():
    content = np.arange(1, 5, dtype=np.float32).tobytes()
    x = sg.from_numpy(np.frombuffer(content, np.float32))
    for view in (x, x.reshape(2, 2).T, x[::2], x.reshape(1, 1, 4).permute(2, 0, 1), sg.from_dlpack(x.detach().numpy())):
        for write in (lambda v: v.__setitem__(v > 0, 0), lambda v: v.__setitem__([0], 0), lambda v: v.mul_(0)):
            with pytest.raises(ValueError, match=r"in-place write|mul_ to a tensor .* in read-only memory"):
                write(view)
    assert content == np.arange(1, 5, dtype=np.float32).tobytes()


def test_a_process_survives_a_write_to_a_map(tmp_path):
    np.zeros(100_000, np.float32).tofile(tmp_path / "zeros")
    code = f"""
        import numpy as np
        from stackgrad import tensor as sg
        x = sg.from_numpy(np.memmap({str(tmp_path / "zeros")!r}, np.float32, "r"), backend="cpu")
        for write in (lambda: x.__setitem__(x == 0, 1), lambda: x.__setitem__([0, 1], 1), lambda: x.zero_()):
            try:
                write()
            except ValueError as error:
                print("read-only" in str(error))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["True"] * 3), done.stderr


def test_the_kernel_is_not_called():
    target = np.zeros((3, 2), np.float32)
    target.flags.writeable = False
    with pytest.raises(ValueError, match="read-only memory"):
        _indexing.scatter(target, np.zeros(1, np.int64), np.ones((1, 2), np.float32))
    assert not target.any()


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_the_result_of_a_pool_is_viewed_as_rows(backend):
    x = sg.rand(2, 3, 8, 8, backend=backend, requires_grad=True)
    weight = sg.rand(4, 3, 3, 3, backend=backend, requires_grad=True)
    out = sg.max_pool2d(sg.conv2d(x, weight).relu(), (2, 2), (2, 2))
    rows = out.view(2, -1)
    rows += 1
    assert np.array_equal(rows.detach().numpy(), out.detach().numpy().reshape(2, -1))
    rows.sum().backward()
    expected = x.grad
    x.grad = None
    sg.max_pool2d(sg.conv2d(x, weight).relu(), (2, 2), (2, 2)).reshape(2, -1).sum().backward()
    assert np.array_equal(x.grad.numpy(), expected.numpy())
    with pytest.raises(ValueError, match="its strides need a copy"):
        out.permute(0, 2, 3, 1).view(-1)


def test_a_view_with_a_twin_is_captured():
    weight = sg.rand(4, 3, 3, 3)

    def rows(x):
        out = sg.conv2d(x, weight)
        view = out.view(len(x), -1)
        view *= 2
        out += 1
        return view + 0

    step = sg.capture(rows)
    for _ in range(4):
        x = sg.rand(2, 3, 6, 6)
        assert np.array_equal(step(x).numpy(), rows(x).numpy())
