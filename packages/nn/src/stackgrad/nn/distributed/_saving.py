"""Files that rank 0 writes for all ranks."""

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
    """Call `work` on rank 0 only, and return its result on all ranks. If it raises, all ranks raise its error."""
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
    """`nn.save` on rank 0, of a state that is equal on all ranks. All ranks return when the file exists.

    Raises, on all ranks:
        DisagreementError: the tensors differ between ranks; nothing is written.
        OSError, TypeError, ValueError: as `nn.save` raised on rank 0.
    """
    expect_same(f"what is saved as {os.fspath(path)}", state)
    by_first(lambda: saving.save(path, state, metadata))
