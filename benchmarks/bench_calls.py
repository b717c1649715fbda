"""Calls with about 1,000 elements, where most of the work is in Python before the kernel: counted, never timed.

Elementwise operations and reductions of that size are in `bench_elementwise` and `bench_reduce`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import stackgrad.tensor as sg
from stackgrad import nn

from ._operands import classes, normal, uniform
from ._suite import Work, counted


def _operands() -> Any:
    """The operands of all calls below."""
    convolution, linear = nn.Conv2d(4, 8, 3, padding=1).to("cpu"), nn.Linear(40, 25).to("cpu")
    wanted = normal(1000, requires_grad=True)
    return SimpleNamespace(
        x=normal(1000),
        y=normal(1000, seed=1),
        wanted=wanted,
        out=normal(1000),
        array=np.zeros(1000, np.float32),
        matrix=normal(25, 40),
        other=normal(40, 25, seed=1),
        row=normal(40, seed=2),
        whole=classes(1000, 10),
        mask=normal(1000) > 0,
        positive=uniform(1000, low=0.05, high=1.0),
        index=classes(25, 25),
        target=classes(25, 40),
        batch=normal(4, 25, 10),
        other_batch=normal(4, 10, 25, seed=1),
        image=normal(2, 4, 11, 11),
        weight=normal(8, 4, 3, 3, seed=1),
        scale=normal(4),
        shift=normal(4, seed=1),
        generator=sg.Generator(0),
        convolution=convolution,
        linear=linear,
    )


def _add_in_place(o: Any) -> None:
    o.out += o.y


def _write_rows(o: Any) -> None:
    o.matrix[2:5] = 1.0


def _backward(o: Any) -> None:
    o.wanted.grad = None
    (o.wanted * o.wanted).sum().backward()


CALLS: dict[str, Callable[[Any], object]] = {
    "x + y": lambda o: o.x + o.y,
    "x + 2.0": lambda o: o.x + 2.0,
    "2.0 * x": lambda o: 2.0 * o.x,
    "x > 0": lambda o: o.x > 0,
    "x + whole": lambda o: o.x + o.whole,
    "matrix + row": lambda o: o.matrix + o.row,
    "matrix + other.T": lambda o: o.matrix + o.other.T,
    "x += y": _add_in_place,
    "add with a gradient": lambda o: o.wanted + o.y,
    "backward": _backward,
    "torch.add": lambda o: sg.add(o.x, o.y),
    "where": lambda o: sg.where(o.mask, o.x, o.y),
    "clamp": lambda o: o.x.clamp(-1.0, 1.0),
    "item": lambda o: o.x[0].item(),
    "shape": lambda o: o.x.shape,
    "detach": lambda o: o.x.detach(),
    "clone": lambda o: o.x.clone(),
    "astype": lambda o: o.x.astype("float64"),
    "numpy": lambda o: o.x.numpy(),
    "from_numpy": lambda o: sg.from_numpy(o.array),
    "tensor": lambda o: sg.tensor([1.0, 2.0, 3.0]),
    "zeros": lambda o: sg.zeros(1000),
    "arange": lambda o: sg.arange(1000),
    "randn": lambda o: sg.randn(1000, generator=o.generator),
    "rand": lambda o: sg.rand(1000, generator=o.generator),
    "reshape": lambda o: o.x.reshape(25, 40),
    "transpose": lambda o: o.matrix.T,
    "permute": lambda o: o.batch.permute(2, 0, 1),
    "expand": lambda o: o.row.expand(25, 40),
    "unsqueeze": lambda o: o.x.unsqueeze(0),
    "slice": lambda o: o.matrix[2:20, ::2],
    "write a slice": _write_rows,
    "index": lambda o: o.matrix[o.index],
    "mask": lambda o: o.x[o.mask],
    "contiguous": lambda o: o.matrix.T.contiguous(),
    "cat": lambda o: sg.cat([o.x, o.y]),
    "stack": lambda o: sg.stack([o.x, o.y]),
    "mean": lambda o: o.x.mean(),
    "var": lambda o: o.matrix.var(1),
    "norm": lambda o: o.x.norm(),
    "any": lambda o: o.mask.any(),
    "cumsum": lambda o: o.x.cumsum(0),
    "sort": lambda o: o.x.sort(),
    "argsort": lambda o: o.x.argsort(),
    "topk": lambda o: o.x.topk(10),
    "matmul": lambda o: o.matrix @ o.other,
    "bmm": lambda o: o.batch @ o.other_batch,
    "einsum": lambda o: sg.einsum("ij,jk->ik", o.matrix, o.other),
    "linear": lambda o: sg.linear(o.matrix, o.matrix, o.matrix[:, 0]),
    "conv2d": lambda o: nn.conv2d(o.image, o.weight, padding=1),
    "max_pool2d": lambda o: nn.max_pool2d(o.image, 2),
    "avg_pool2d": lambda o: nn.avg_pool2d(o.image, 2),
    "batch_norm": lambda o: sg.batch_norm(o.image, o.scale, o.shift),
    "layer_norm": lambda o: nn.functional.layer_norm(o.matrix, (40,)),
    "softmax": lambda o: sg.softmax(o.matrix, 1),
    "log_softmax": lambda o: sg.log_softmax(o.matrix, 1),
    "cross_entropy": lambda o: sg.cross_entropy(o.matrix, o.target),
    "mse_loss": lambda o: nn.functional.mse_loss(o.x, o.y),
    "binary_cross_entropy": lambda o: nn.functional.binary_cross_entropy(o.positive, o.positive),
    "dropout": lambda o: sg.dropout(o.x, 0.25, generator=o.generator),
    "embedding": lambda o: nn.functional.embedding(o.index, o.matrix),
    "one_hot": lambda o: nn.functional.one_hot(o.target, 40),
    "gelu": lambda o: nn.functional.gelu(o.x),
    "Conv2d": lambda o: o.convolution(o.image),
    "Linear": lambda o: o.linear(o.matrix),
}


@counted(call=[*CALLS])
def count_call(call: str) -> Work:
    """A call, its result dropped."""
    operands, function = _operands(), CALLS[call]
    return lambda: function(operands)
