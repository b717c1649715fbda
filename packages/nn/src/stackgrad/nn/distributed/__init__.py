"""Training by several processes that share each batch: start one program by `mpiexec -n 8 python -m mpi4py program.py`.

    from stackgrad import nn
    from stackgrad.nn import distributed

    model = make_model()
    optimizer = distributed.DistributedOptimizer(nn.SGD(model.parameters(), 0.1))
    distributed.broadcast(model, optimizer, generator)
    for index in distributed.batches(len(images), 128, generator):  # this process's share of each batch of 128
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(images[index]), labels[index])
        optimizer.backward(loss, len(index))  # the gradient of the mean over the whole batch, on each process
        optimizer.step()
    distributed.save("model.safetensors", model)

Each process, called a rank, has a copy of the model and a share of each batch. N ranks with shares of B / N train like
one process with batches of B, up to rounding. Gradients are summed in the order of the ranks, so that all have the same
bits in each run. Without MPI there is one rank, and everything works as in one process.

mpi4py is imported only if a launcher such as mpiexec started the program; `pip install stackgrad-nn[mpi]` installs it.
"""

from ._agree import agree, digest, expect_same, gather
from ._batch_norm import convert_sync_batchnorm
from ._broadcast import broadcast
from ._call import DisagreementError
from ._data import DataLoader, batches, share
from ._optimizer import DistributedOptimizer
from ._saving import by_first, save
from ._totals import mean, total
from ._watch import end, watch
from ._world import World, launched, world

__all__ = [
    "DataLoader",
    "DisagreementError",
    "DistributedOptimizer",
    "World",
    "agree",
    "batches",
    "broadcast",
    "by_first",
    "convert_sync_batchnorm",
    "digest",
    "end",
    "expect_same",
    "gather",
    "launched",
    "mean",
    "save",
    "share",
    "total",
    "watch",
    "world",
]
