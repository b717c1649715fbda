"""A digest of the bits of each sort of work on large arrays: the same in every process, for any number of threads.

Run as a script, with the number of concurrent Python threads, it prints the digests as JSON.
"""

import hashlib
import json
import sys
import threading

import numpy as np

from stackgrad import tensor as sg


def _values(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def _leaf(*shape, dtype=np.float32):
    return sg.tensor(_values(*shape, dtype=dtype), requires_grad=True, backend="cpu")


def _with_gradients(out, *leaves):
    return [out, *sg.grad(out, leaves, sg.tensor(_values(*out.shape).astype(out.dtype), backend="cpu"))]


def _conv(dtype):
    x, w, b = _leaf(5, 6, 40, 41, dtype=dtype), _leaf(20, 3, 3, 5, dtype=dtype), _leaf(20, dtype=dtype)
    return _with_gradients(sg.conv2d(x, w, b, (1, 2), ((2, 1), (0, 3)), (2, 1), groups=2), x, w, b)


def _pool(pool):
    x = _leaf(7, 6, 41, 40)
    return _with_gradients(pool(x, (3, 2), (2, 2), ((1, 0), (0, 1))), x)


def _batch_norm(*shape, dtype=np.float32):
    x, w, b = _leaf(*shape, dtype=dtype), _leaf(shape[1], dtype=dtype), _leaf(shape[1], dtype=dtype)
    out, mean, var = sg.batch_norm(x, w, b, activation="relu")
    return [mean, var, *_with_gradients(out, x, w, b)]


def _steps():
    p, m, v, g = (sg.tensor(_values(300, 200, i), backend="cpu") for i in range(1, 5))
    p, m, v, g = (x.sum(2) for x in (p, m, v * v, g))
    sg.sgd_step([p], [g], [m], sg.sgd_numbers(0.1, 0.9, True, 0.01))
    sg.adam_step([p], [g], [m], [v], sg.adam_numbers(3, 0.01, weight_decay=0.1))
    return [p, m, v]


WORK = {
    "matmul": lambda: _with_gradients((a := _leaf(150, 170)) @ (b := _leaf(170, 130)), a, b),
    "matmul of float64 batches": lambda: [_leaf(9, 40, 50, dtype=np.float64) @ _leaf(50, 60, dtype=np.float64)],
    "linear": lambda: _with_gradients(sg.linear(x := _leaf(300, 90), w := _leaf(70, 90), b := _leaf(70)), x, w, b),
    "convolution": lambda: _conv(np.float32),
    "convolution of float64": lambda: _conv(np.float64),
    "max pool": lambda: _pool(sg.max_pool2d),
    "average pool": lambda: _pool(sg.avg_pool2d),
    "sums": lambda: [f(_leaf(60, 70, 80)) for f in (lambda x: x.sum(), lambda x: x.sum(0), lambda x: x.sum((0, 2)))],
    "sum of transposed": lambda: [_leaf(300, 401).T.sum(0), _leaf(300, 401).T.sum(1), _leaf(9, 50001).prod(1)],
    "extremes": lambda: [*_with_gradients((x := _leaf(300, 401)).max(1), x), _leaf(300, 401).argmin(0)],
    "running sums": lambda: [_leaf(50, 60, 30).cumsum(1), _leaf(3, 50001).cumsum(1)],
    "long sums": lambda: [
        *_with_gradients((a := _leaf(3, 9001)) @ (b := _leaf(9001, 4)), a, b),
        sg.softmax(_leaf(3, 30_001), 1),
        sg.avg_pool2d(_leaf(2, 3, 61, 62), (60, 60), (1, 1)),
        *_with_gradients((x := _leaf(50, 30))[np.arange(20_000) % 7], x),
    ],
    "softmax": lambda: [*_with_gradients(sg.softmax((x := _leaf(600, 70)), 1), x), sg.log_softmax(x, 0)],
    "cross-entropy": lambda: _with_gradients(
        sg.cross_entropy(x := _leaf(5000, 11), sg.tensor(np.arange(5000) % 11, backend="cpu")), x
    ),
    "batch normalisation": lambda: _batch_norm(5, 6, 40, 41),
    "batch normalisation of float64": lambda: _batch_norm(3000, 20, dtype=np.float64),
    "elementwise": lambda: _with_gradients((x := _leaf(300, 401)).tanh() * (y := _leaf(401)), x, y),
    "elementwise by rows": lambda: [(_leaf(300, 300) * _leaf(300, 300).T)[::2] + 1],
    "dropout": lambda: [
        sg.dropout(_leaf(300, 401), 0.3, sg.Generator(5)),
        sg.rand(99_999, dtype="float64", generator=sg.Generator(6)),
    ],
    "optimizers": _steps,
}


def digests() -> dict[str, str]:
    """Digests by the names of the sorts of work."""
    found = {}
    for name, work in WORK.items():
        digest = hashlib.sha256()
        for x in work():
            digest.update(np.ascontiguousarray(x.detach().numpy()).tobytes())
        found[name] = digest.hexdigest()
    return found


def _main(count: int) -> None:
    found: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(digests())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    _main(int(sys.argv[1]))
