"""Run by `test_mpi.py` under mpiexec: trains, and prints the digests of the weights."""

from __future__ import annotations

import sys

from ranks import HERE, adam, convolutional, messages, momentum, perceptron, trained

from stackgrad.nn import distributed

with messages():
    SENT = trained(perceptron, adam, "numpy", bucket_bytes=100)

RUNS = (
    SENT,
    trained(perceptron, momentum, "cpu", captured=True, bucket_bytes=100),
    trained(perceptron, momentum, "numpy", compress="bfloat16"),
    trained(convolutional, momentum, "numpy", (2, 6, 6), 1, convert=True),
)

if HERE.is_first:
    for run in RUNS:
        sys.stdout.write(f"{distributed.digest(run.model)}\n")
