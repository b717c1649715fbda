"""The kinds of work that have no kernels for GPUs yet: each says so. A kind that gets one is taken out here."""

from __future__ import annotations

from typing import Any, NoReturn

from stackgrad.tensor import Backend


def _not_yet(kind: str) -> Any:
    def refuse(self: Backend, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"{kind} has no kernel on backend 'cuda' yet: bring its tensors over with .to('cpu')")

    return refuse


class NotYet(Backend):
    """By the file that is to hold them."""

    # _softmax
    softmax = _not_yet("softmax")
    log_softmax = _not_yet("log_softmax")
    cross_entropy = _not_yet("cross_entropy")
    cross_entropy_grad = _not_yet("cross_entropy_grad")
    # _indexing
    gather = _not_yet("gather")
    scatter_add = _not_yet("scatter_add")
    scatter = _not_yet("scatter")
    nonzero = _not_yet("nonzero")
    # _random
    uniform = _not_yet("uniform")
    # _optim
    sgd_step = _not_yet("sgd_step")
    adam_step = _not_yet("adam_step")
