"""Of what PyTorch has in `torch.cuda`: whether there is a GPU that the `cuda` backend computes on."""

from ._backend import get_backend
from ._random import manual_seed


def is_available() -> bool:
    """Whether the `cuda` backend is installed and finds a GPU."""
    try:
        get_backend("cuda")
    except (RuntimeError, ValueError):
        return False
    return True


def device_count() -> int:
    """1 where there is a GPU that the backend computes on, else 0."""
    return int(is_available())


def manual_seed_all(seed: int) -> None:
    """Start the default generator, which is the same for all backends, from `seed`."""
    manual_seed(seed)


__all__ = ["device_count", "is_available", "manual_seed", "manual_seed_all"]
