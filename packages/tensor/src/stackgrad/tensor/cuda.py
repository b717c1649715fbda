"""A part of `torch.cuda`: whether the `cuda` backend has a GPU."""

from ._installed import get_backend
from ._random import manual_seed


def is_available() -> bool:
    """Whether the `cuda` backend is installed and finds a GPU.

    >>> backend = "cuda" if cuda.is_available() else "numpy"
    """
    try:
        get_backend("cuda")
    except (RuntimeError, ValueError):
        return False
    return True


def device_count() -> int:
    """1 if the `cuda` backend has a GPU, else 0.

    >>> cuda.device_count() == int(cuda.is_available())
    True
    """
    return int(is_available())


def manual_seed_all(seed: int) -> None:
    """Restart the default generator, which all backends share, from `seed`.

    >>> cuda.manual_seed_all(0)
    """
    manual_seed(seed)


__all__ = ["device_count", "is_available", "manual_seed", "manual_seed_all"]
