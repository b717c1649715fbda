"""Files that rank 0 writes, and of which all ranks know."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .. import saving
from ..module import Module
from ._agree import expect_same
from ._call import meet
from ._world import world


def by_first(work: Callable[[], Any]) -> Any:
    """What `work` gives on rank 0, which alone does it, on all ranks; they all raise what it raised there."""
    here = world()
    if here.size == 1:
        return work()
    meet("by_first")
    found: tuple[Any, BaseException | None] = (None, None)
    if here.rank == 0:
        try:
            found = work(), None
        except Exception as error:
            found = None, error
    result, failure = here.comm.bcast(found)
    if failure is not None:
        raise failure
    return result


def save(
    path: str | os.PathLike[str], state: Module | Mapping[Any, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """`nn.save` by rank 0, of a state that is the same on all ranks. All ranks return when the file is there.

    Raises, on all ranks:
        DisagreementError: the tensors differ between ranks: nothing is written.
        OSError, TypeError, ValueError: as `nn.save` did on rank 0.
    """
    expect_same(f"what is saved as {os.fspath(path)}", state)
    by_first(lambda: saving.save(path, state, metadata))
