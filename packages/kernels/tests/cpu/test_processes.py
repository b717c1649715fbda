"""What shows only in a process of its own: the disk cache, the number of threads, the threading layer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import hashlib, warnings
import numpy as np
from stackgrad.tensor import Generator, conv2d, get_backend, max_pool2d, randn, set_default_backend, softmax
set_default_backend("cpu")
g = Generator(0)
x, w, b = (randn(*s, generator=g).requires_grad_() for s in ((40, 6, 20, 20), (16, 6, 5, 5), (16,)))
out = max_pool2d(conv2d(x, w, b), (2, 2), (2, 2)).reshape(40, -1)
m = randn(out.shape[1], 300, generator=g).requires_grad_()
(softmax(out @ m, 1) * randn(40, 300, generator=g)).sum().backward()
total = randn(300_000, generator=g).exp().sum()
digest = hashlib.sha256()
for t in (x.grad, w.grad, b.grad, m.grad, total):
    digest.update(t.numpy().tobytes())
print(digest.hexdigest())
"""


def run(source: str, cache: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "STACKGRAD_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_same_bits_and_a_warm_cache(cache):
    two = run(WORK, cache, NUMBA_NUM_THREADS="2")
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb?")}
    assert len(files) > 20
    one = run(WORK, cache, NUMBA_NUM_THREADS="1")
    assert one == two
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.nb?")} == files


def test_threads_at_once(cache):
    source = """
import threading
import numpy as np
from stackgrad.tensor import randn
x = randn(400, 400, backend="cpu")
expected, results = (x @ x).exp().sum().item(), []
def work():
    for _ in range(20):
        results.append((x @ x).exp().sum().item())
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
assert results == [expected] * 40
print("done")
"""
    for layer in ("default", "workqueue"):
        assert "done" in run(source, cache, NUMBA_THREADING_LAYER=layer)


def test_no_folder_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    source = "from stackgrad.tensor import ones; print((ones(3, backend='cpu') + 1).tolist())"
    printed = run(source, tmp_path / "file" / "below")
    assert "[2.0, 2.0, 2.0]" in printed
    assert printed.count("kernels are compiled again in each process") == 1
