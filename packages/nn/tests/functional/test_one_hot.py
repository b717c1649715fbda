"""`one_hot` under PyTorch's name."""

from stackgrad import tensor as sg
from stackgrad.nn import functional as F


def test_one_hot():
    assert F.one_hot is sg.one_hot
    assert F.one_hot(sg.tensor([1, 0]), num_classes=3).tolist() == [[0, 1, 0], [1, 0, 0]]
