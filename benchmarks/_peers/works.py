"""The works of the comparison with PyTorch, one per row of the table, with the target of its ratio."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from .._shapes import CONVS
from .._values import LAYOUTS, LOGITS, SHAPES

Argument = str | int
CALLED, CAPTURED = "called", "captured"  # called from Python, or replayed by stackgrad.tensor.capture
TRAIN_FLOPS = {"lenet5": 2.26e6}  # per image, without the gradient of the input; not stated for the course network


@dataclass(frozen=True)
class Work:
    """A work that each side builds from `kind` and `arguments`.

    Attributes:
        target: the lowest ratio of PyTorch's time to ours that we aim at.
        flops, traffic: floating-point operations, and the fewest bytes to read and write; 0 if neither bounds it.
        images: the images per training step or inference, shown per second, or another `unit`.
        variants: PyTorch's forms of the work; the fastest counts.
        forms: our forms, `CALLED` or `CAPTURED`; the faster counts, and both are shown.
        tolerance: the largest allowed difference, relative to the largest value.
    """

    group: str
    name: str
    kind: str
    arguments: tuple[Argument, ...]
    target: float | None = None
    flops: float = 0
    traffic: float = 0
    images: int = 0
    unit: str = "images"
    variants: tuple[str, ...] = ("",)
    forms: tuple[str, ...] = (CALLED, CAPTURED)
    tolerance: float = 1e-4


# For its 0.80 million weights in products, forward and both gradients, and 4 layers of attention over 64 positions.
GPT_FLOPS = 3 * 2 * 16 * 64 * (4 * 12 * 128**2 + 103 * 128 + 4 * 2 * 64 * 128)

# The target of a group's geometric mean.
GROUP_TARGETS = {"convolution": 2.0, "layers": 1.5, "fused": 1.8, "elementwise and reductions": 1.3}
FUSED = ("gelu", "silu", "softplus", "mish", "smooth_l1_loss")  # of nn.functional, elementwise
LAYOUTS_2D = ("NCHW", "channels last")
TRAINING = tuple(f"{layout}{optimizer}" for layout in LAYOUTS_2D for optimizer in ("", ", fused"))


def works() -> Iterator[Work]:
    """All rows, in the order of the table."""
    yield from _training()
    yield from _inference()
    yield from _convolution()
    yield from _layers()
    yield from _fused()
    yield from _elementwise()
    yield from _matmul()


def _training() -> Iterator[Work]:
    targets: dict[str, dict[int, float | None]] = {
        "lenet5": {16: 4.0, 64: 3.0, 256: 2.5},
        "course": {16: 4.0, 64: 3.5, 256: None},
    }
    for model, of_batch in targets.items():
        for batch, target in of_batch.items():
            flops = TRAIN_FLOPS.get(model, 0) * batch
            for source, how in (("float32", "captured"), ("uint8", "captured"), ("float32", "eager")):
                yield Work(
                    "training",
                    f"{model}, batch {batch}, from {source}" + (", not captured" if how == "eager" else ""),
                    "train",
                    (model, batch, source, how),
                    target if (source, how) == ("float32", "captured") else None,
                    flops,
                    images=batch,
                    variants=TRAINING,
                    forms=(CALLED,),
                    tolerance=1e-3,  # rounding differences grow over 20 steps
                )

    for how, target in (("captured", 1.5), ("eager", 1.0)):
        yield Work(
            "training",
            "gpt of 4 layers, batch 16 of 64 tokens" + (", not captured" if how == "eager" else ""),
            "gpt",
            ("gpt", how),
            target,
            GPT_FLOPS,
            images=16 * 64,
            unit="tokens",
            variants=("for each", "fused"),
            forms=(CALLED,),
            tolerance=2e-4,  # 50 steps
        )


def _inference() -> Iterator[Work]:
    for batch in (1, 16, 256):
        yield Work(
            "inference",
            f"lenet5, batch {batch}",
            "inference",
            ("lenet5", batch),
            2.0,
            images=batch,
            variants=LAYOUTS_2D,
            forms=(CALLED,),
        )


def _convolution() -> Iterator[Work]:
    for name, conv in CONVS.items():
        variants = LAYOUTS_2D if len(conv.size) == 2 else ("",)
        yield Work("convolution", name, "conv", (name,), 1.2, 3 * conv.flops, variants=variants)


def _layers() -> Iterator[Work]:
    group = "layers"
    for kind in ("max", "avg"):
        for window in (2, 4):
            yield Work(
                group, f"{kind} pool {window}x{window}, 64x8x28x28", "pool", (kind, window), 1.0, variants=LAYOUTS_2D
            )
    for op in ("softmax", "cross_entropy"):
        for shape in LOGITS:
            yield Work(group, f"{op} {shape}", "classify", (op, shape), 1.0)
    for size in (4_096, 1_000_000):
        yield Work(group, f"dropout {size:,}", "dropout", (size,), 1.0)
    yield Work(group, "linear 64x400 to 120", "linear", (), 1.0, 6 * 64 * 400 * 120)
    for optimizer in ("SGD", "Adam"):
        yield Work(
            group,
            f"{optimizer} step, lenet5's parameters",
            "optimizer",
            (optimizer,),
            1.0,
            variants=("for each", "foreach", "fused"),
        )


def _fused() -> Iterator[Work]:
    """Forward and backward: operands and results are read or written once, and again with their gradients."""
    count = 1_000_000
    for op in FUSED:
        arrays = 8 if op == "smooth_l1_loss" else 5
        yield Work("fused", f"{op}, 1e6", "fused", (op,), 1.3, traffic=4 * count * arrays, forms=(CALLED,))
    yield Work(
        "fused",
        "six operations of 1000x1000, a row and a column",
        "fused",
        ("chain",),
        4.0,
        traffic=4 * count * 5,
        forms=(CALLED,),
    )


def _elementwise() -> Iterator[Work]:
    for size, shape in SHAPES.items():
        count = math.prod(shape)
        least = 0.6 if size == "1e3" else 0.9
        for op in ("add", "exp", "tanh", "relu", "sum", "max", "sum(0)"):
            for layout in LAYOUTS:
                if layout == "broadcast" and op in ("exp", "tanh", "relu"):
                    continue  # not a realistic work
                inputs = count if layout != "broadcast" else 0  # the one row stays in the cache
                outputs = 0 if op in ("sum", "max", "sum(0)") else count
                yield Work(
                    "elementwise and reductions",
                    f"{op}, {size}, {layout}",
                    "elementwise",
                    (op, layout, size),
                    least,
                    traffic=4 * (inputs + outputs + (count if op == "add" else 0)),
                )


def _matmul() -> Iterator[Work]:
    for size in (64, 128, 256, 512, 1024, 2048):
        yield Work("matmul", f"{size}x{size}", "matmul", (size, size, size), 0.9, 2 * size**3)
    yield Work("matmul", "64 of 32x32", "matmul", (64, 32, 32), 0.9, 64 * 2 * 32**3)
