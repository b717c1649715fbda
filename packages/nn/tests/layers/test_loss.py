"""Losses as modules: each calls its function."""

from collections.abc import Callable

import pytest

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional
X, Y = sg.tensor([[0.2, -1.5, 3.0], [0.7, 0.1, -0.4]]), sg.tensor([[0.5, 1.0, 0.0], [0.7, 0.9, 0.25]])
CLASSES, WEIGHT = sg.tensor([2, 0]), sg.tensor([1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("loss", "x", "target", "function"),
    [
        (nn.L1Loss(), X, Y, lambda: F.l1_loss(X, Y)),
        (nn.MSELoss(reduction="sum"), X, Y, lambda: F.mse_loss(X, Y, reduction="sum")),
        (nn.HuberLoss(delta=0.3), X, Y, lambda: F.huber_loss(X, Y, delta=0.3)),
        (nn.SmoothL1Loss(beta=0.3), X, Y, lambda: F.smooth_l1_loss(X, Y, beta=0.3)),
        (nn.BCELoss(WEIGHT), X.sigmoid(), Y, lambda: F.binary_cross_entropy(X.sigmoid(), Y, WEIGHT)),
        (
            nn.BCEWithLogitsLoss(WEIGHT, pos_weight=WEIGHT),
            *(X, Y, lambda: F.binary_cross_entropy_with_logits(X, Y, WEIGHT, pos_weight=WEIGHT)),
        ),
        (nn.KLDivLoss(reduction="batchmean"), X, Y, lambda: F.kl_div(X, Y, reduction="batchmean")),
        (nn.KLDivLoss(log_target=True), X, Y, lambda: F.kl_div(X, Y, log_target=True)),
        (nn.NLLLoss(WEIGHT, ignore_index=2), X, CLASSES, lambda: F.nll_loss(X, CLASSES, WEIGHT, ignore_index=2)),
        (
            nn.CrossEntropyLoss(WEIGHT, ignore_index=2, reduction="none", label_smoothing=0.1),
            X,
            CLASSES,
            lambda: F.cross_entropy(X, CLASSES, WEIGHT, ignore_index=2, reduction="none", label_smoothing=0.1),
        ),
    ],
)
def test_a_loss_calls_its_function(
    loss: nn.Module, x: sg.Tensor, target: sg.Tensor, function: Callable[[], sg.Tensor]
) -> None:
    assert loss(x, target).tolist() == function().tolist()


def test_weights_are_saved_and_move() -> None:
    loss = nn.BCEWithLogitsLoss(WEIGHT, pos_weight=WEIGHT)
    assert list(loss.state_dict()) == ["weight", "pos_weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []
    assert nn.NLLLoss(WEIGHT).to("cpu").weight.backend.name == "cpu"  # type: ignore[union-attr]
