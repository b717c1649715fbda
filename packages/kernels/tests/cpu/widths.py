"""A digest of the bits of each convolution, matrix product and fused function below, the same for any register width.

Run as a script, it prints the digests as JSON, with the width in bytes.
"""

import hashlib
import json

import numpy as np

from stackgrad import tensor as sg
from stackgrad.kernels.cpu._matmul import matmul
from stackgrad.kernels.cpu._width import WIDE_BYTES
from stackgrad.kernels.cpu.conv._forward import conv2d
from stackgrad.kernels.cpu.conv._grads import conv2d_grads
from stackgrad.tensor import Window, fuse

# Images, then weights (o, c, kh, kw), stride, padding, dilation, groups: each algorithm of the decision table, and
# shapes at the edges of vectors and registers of float32 or of float64.
CONVOLUTIONS = [
    *(((3, 1, 28, 28), (o, 1, 5, 5), 1, 2, 1, 1) for o in (1, 2, 4, 6, 8, 9, 16, 17, 33)),
    *(((3, c, 12, w), (o, c, 3, 3), 1, 1, 1, 1) for c, w in ((4, 28), (8, 17), (8, 33), (4, 40)) for o in (4, 6, 8)),
    *(((2, c, 19, 30), (8, c, 3, 3), 1, 1, 1, 1) for c in (4, 5)),
    *(((3, 6, 14, 14), (o, 6, 5, 5), 1, 0, 1, 1) for o in (5, 16, 20)),
    *(((2, c, 10, 9), (20, c, 3, 3), 1, 1, 1, 1) for c in (2, 3, 5, 9, 15, 16, 17, 24, 40)),
    *(((2, 33, 9, 12), (o, 33, 1, 1), 1, 0, 1, 1) for o in (3, 8, 9, 12, 40)),
    *(((2, c, 11, 16), (12, c, 3, 3), 2, 1, 1, 1) for c in (1, 2, 4, 6, 12)),
    *(((2, c, 1, 21), (9, c, 1, 7), 3, 2, 1, 1) for c in (1, 2, 3, 5)),
    *(((2, 2 * c, 9, 11), (2 * c, c, 3, 2), 1, 1, 1, 2) for c in (3, 9, 17, 34)),
    *(((2, c, 12, 13), (10, c, 3, 3), 1, 1, 2, 1) for c in (3, 12, 20)),
    ((26, 18, 6, 6), (100, 18, 3, 3), 1, 1, 1, 1),  # so many sums that there are fewer chunks
    ((4, 15, 8, 8), (100, 15, 3, 3), 1, 1, 1, 1),
    ((1, 40, 4, 5), (3, 40, 11, 40), 1, ((5, 5), (20, 20)), 1, 1),  # more taps than one sum has
]
PRODUCTS = [(n, k, m) for n in (1, 7, 40) for k in (3, 40, 300) for m in (1, 10, 17, 50)] + [(5, 5000, 9)]
FUNCTIONS = {
    "gelu": lambda x: x * ((x * 0.5**0.5).erf() + 1) * 0.5,
    "silu": lambda x: x * x.sigmoid(),
    "calls of calls": lambda x: (x.minimum(9.0).exp().log1p() - x).tanh() * (x.abs() + 1).log(),
}


def _digest(*arrays):
    digest = hashlib.sha256()
    for a in arrays:
        digest.update(np.ascontiguousarray(a).tobytes())
    return digest.hexdigest()


def _pair(n):
    return n if isinstance(n, tuple) else (n, n)


def _convolution(dtype, image, weight, stride, padding, dilation, groups):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in (image, weight, weight[:1]))
    sides = padding if isinstance(padding, tuple) else (_pair(padding),) * 2
    window = Window(weight[2:], _pair(stride), sides, _pair(dilation))
    out, saved = conv2d(x, w, b, window, groups, relu=True)
    g = rng.standard_normal(out.shape).astype(dtype)
    return [_digest(part) for part in (out, *conv2d_grads(g, saved, w, out, window, groups, (True, True, True)))]


def _product(dtype, n, k, m):
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((n, k), (k, m), (m,)))
    transposed = np.ascontiguousarray(a.T).T, np.ascontiguousarray(b.T).T
    return [_digest(matmul(a, b, bias, relu=True)), _digest(matmul(*transposed))]


def _fused(dtype, function):
    """Of values of all sizes, as many as leave some over behind the last vector."""
    x = np.random.default_rng(0).standard_normal(1_037) * np.logspace(-3, 2, 1_037)
    x = sg.from_numpy(x.astype(dtype), backend="cpu").requires_grad_()
    y = fuse(function)(x)
    y.backward(x.detach())
    return [_digest(y.detach().numpy(), x.grad.numpy())]


def digests():
    """Of the results, and of the gradients of input, weight and bias."""
    found = {}
    for dtype in ("float32", "float64"):
        found |= {f"{dtype} {shapes}": _convolution(dtype, *shapes) for shapes in CONVOLUTIONS}
        found |= {f"{dtype} {shapes}": _product(dtype, *shapes) for shapes in PRODUCTS}
        found |= {f"{dtype} {name}": _fused(dtype, function) for name, function in FUNCTIONS.items()}
    return found


if __name__ == "__main__":
    print(json.dumps([WIDE_BYTES, digests()]))  # noqa: T201
