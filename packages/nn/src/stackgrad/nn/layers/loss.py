"""Losses as modules: each calls its function with the arguments of the constructor."""

from typing import Any, Literal

from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_ints, expect_numbers

from .. import functional as F
from ..functional._loss import Reduction
from ..module import Module
from ..parameter import Buffer


class _Loss(Module):
    def __init__(self, *, reduction: Any = "mean") -> None:
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with an optional `weight`, a buffer that is saved and moves with the module."""

    def __init__(self, weight: Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = None if weight is None else Buffer(weight)


class L1Loss(_Loss):
    """`functional.l1_loss`: the absolute value of input - target.

    >>> nn.L1Loss()(tensor([0.0, 0.0]), tensor([1.0, 3.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """`functional.mse_loss`: (input - target) squared.

    >>> nn.MSELoss()(tensor([0.0, 0.0]), tensor([1.0, 3.0]))
    tensor(5.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """`functional.huber_loss`: quadratic up to `delta`, linear beyond.

    >>> nn.HuberLoss()(tensor([0.0]), tensor([3.0]))
    tensor(2.5)
    """

    def __init__(self, *, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        expect_numbers("HuberLoss", delta=delta)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(_Loss):
    """`functional.smooth_l1_loss`: quadratic up to `beta`, with slope 1 beyond.

    >>> nn.SmoothL1Loss()(tensor([0.0]), tensor([3.0]))
    tensor(2.5)
    """

    def __init__(self, *, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        expect_numbers("SmoothL1Loss", beta=beta)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class BCELoss(_WeightedLoss):
    """`functional.binary_cross_entropy`, of probabilities.

    >>> nn.BCELoss()(tensor([0.5]), tensor([1.0])).round(decimals=4)
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """`functional.binary_cross_entropy_with_logits`.

    >>> nn.BCEWithLogitsLoss()(tensor([0.0]), tensor([1.0])).round(decimals=4)
    tensor(0.6931)
    """

    def __init__(
        self, weight: Tensor | None = None, *, reduction: Reduction = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.pos_weight = None if pos_weight is None else Buffer(pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(_Loss):
    """`functional.kl_div`, of log-probabilities.

    >>> nn.KLDivLoss(reduction="batchmean")(tensor([[0.5, 0.5]]).log(), tensor([[0.5, 0.5]]))
    tensor(0.)
    """

    def __init__(
        self, *, reduction: Literal["mean", "sum", "none", "batchmean"] = "mean", log_target: bool = False
    ) -> None:
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class NLLLoss(_WeightedLoss):
    """`functional.nll_loss`, of log-probabilities.

    >>> nn.NLLLoss()(tensor([[-0.5, -1.0]]), tensor([1]))
    tensor(1.)
    """

    def __init__(
        self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(weight, reduction=reduction)
        expect_ints("NLLLoss", ignore_index=ignore_index)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_WeightedLoss):
    """`functional.cross_entropy`, of logits.

    >>> nn.CrossEntropyLoss()(tensor([[0.0, 0.0]]), tensor([1])).round(decimals=4)
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        expect_ints("CrossEntropyLoss", ignore_index=ignore_index)
        expect_numbers("CrossEntropyLoss", label_smoothing=label_smoothing)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
