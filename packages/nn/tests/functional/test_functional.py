"""What `functional` offers of the package below."""

import pytest

import stackgrad.tensor as sg
from stackgrad.nn import functional as F


@pytest.mark.parametrize("name", F.__all__)
def test_what_tensor_has_is_not_written_twice(name: str) -> None:
    """Losses, dropout, activations and batch norm take more arguments here, under PyTorch's names."""
    own = {"batch_norm", "cross_entropy", "dropout", "nll_loss", "relu", "sigmoid", "tanh"}
    assert (getattr(F, name) is getattr(sg, name, None)) is (hasattr(sg, name) and name not in own)
