"""Losses for classification: cross-entropy and negative log-likelihood."""

from collections.abc import Callable

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_ints, expect_numbers, expect_optional, expect_tensors

from ._loss import Reduction, reduced


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log(softmax(input)) at each target class, computed with log-sum-exp.

    Args:
        input: (batch, classes), (batch, classes, d1, ...) or (classes,), logits: the output of the last linear
            layer, without softmax.
        target: the input's shape without the classes, int64, each from 0 to classes - 1; or the input's shape, a
            probability for each class.
        weight: (classes,), a factor for the loss of each class; 1 if None.
        ignore_index: a target of this class has no loss and no gradient, and does not count in the mean. It does not
            apply to probabilities.
        reduction: "mean" (for weighted classes divided by the sum of the weights, for probabilities by their count),
            "sum", or "none" for one loss per target.
        label_smoothing: the fraction of the target, 0 to 1, that is spread over all classes (Szegedy et al.,
            "Rethinking the Inception architecture", arXiv:1512.00567).

    Returns:
        (), or with reduction "none" the input's shape without the classes.

    Raises:
        ValueError: shapes that do not match, a class out of range, an unknown reduction, an invalid `label_smoothing`.
        TypeError: an argument that is not a Tensor, a target of the wrong dtype.

    >>> F.cross_entropy(tensor([[0.0, 0.0]]), tensor([1])).round(decimals=4)
    tensor(0.6931)
    """
    expect_tensors("cross_entropy", input=input, target=target)
    if type(ignore_index) is not int or type(label_smoothing) is not float:  # the usual case needs no call
        expect_ints("cross_entropy", ignore_index=ignore_index)
        expect_numbers("cross_entropy", label_smoothing=label_smoothing)
    if weight is None and not label_smoothing and target.dtype.kind == "i":
        return _at_classes("cross_entropy", sg.cross_entropy, input, target, None, ignore_index, reduction)
    _expect_weight("cross_entropy", input, weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be between 0 and 1; got {label_smoothing}")
    if target.dtype.kind == "f" and input.shape == target.shape:
        return _of_probabilities(input, target, weight, reduction, label_smoothing)

    def loss(scores: Tensor, classes: Tensor) -> Tensor:
        if not label_smoothing:
            return _weighted(sg.cross_entropy(scores, classes), weight, classes)
        log_probs = sg.log_softmax(scores, 1)
        own = _weighted(sg.nll_loss(log_probs, classes), weight, classes)
        each = log_probs if weight is None else log_probs * weight
        return own * (1 - label_smoothing) - each.sum(1) * (label_smoothing / scores.shape[1])

    return _at_classes("cross_entropy", loss, input, target, weight, ignore_index, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """-input at each target class; after `log_softmax` this is `cross_entropy` of the logits.

    Args:
        input: (batch, classes), (batch, classes, d1, ...) or (classes,), log-probabilities.
        target: the input's shape without the classes, int64, each from 0 to classes - 1.
        weight, ignore_index, reduction: as in `cross_entropy`.

    Returns and raises as `cross_entropy`.

    >>> F.nll_loss(tensor([[-0.5, -1.0]]), tensor([1]))
    tensor(1.)
    """
    expect_tensors("nll_loss", input=input, target=target)
    expect_ints("nll_loss", ignore_index=ignore_index)
    _expect_weight("nll_loss", input, weight)

    def loss(scores: Tensor, classes: Tensor) -> Tensor:
        return _weighted(sg.nll_loss(scores, classes), weight, classes)

    return _at_classes("nll_loss", loss, input, target, weight, ignore_index, reduction)


def _weighted(losses: Tensor, weight: Tensor | None, classes: Tensor) -> Tensor:
    return losses if weight is None else losses * weight[classes]


def _at_classes(
    what: str,
    loss: Callable[[Tensor, Tensor], Tensor],
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: Reduction,
) -> Tensor:
    """`loss` of scores (n, classes) at targets (n,), which returns (n,), without the ignored targets.

    A call first assumes that no target is ignored, which is faster. A captured function cannot: replays see other
    targets.
    """
    ignoring = input.ndim != 2 or 0 <= ignore_index < input.shape[1]
    if not ignoring and weight is None and sg.capturing.tape is None:
        try:
            return reduced(loss(input, target), reduction)
        except ValueError:  # perhaps because of an ignored class
            if not _holds(target, ignore_index):
                raise
    scores, classes = _in_rows(what, input, target)
    kept = classes != ignore_index
    classes = kept.where(classes, 0)
    losses = kept.where(loss(scores, classes), 0.0)
    if reduction == "mean":
        counted = kept.astype(losses.dtype) if weight is None else kept.where(weight[classes], 0.0)
        return losses.sum() / counted.sum()
    return reduced(losses, reduction).reshape(*(target.shape if reduction == "none" else ()))


def _in_rows(what: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Reshape to scores (n, classes) and targets (n,)."""
    if target.dtype.kind != "i":
        raise TypeError(f"{what}: target of {target.dtype}: expected int64 classes, or probabilities of {input.shape}")
    if not input.ndim or target.shape != input.shape[: input.ndim - 1][:1] + input.shape[2:]:
        raise ValueError(
            f"{what}: input of shape {input.shape} and target of shape {target.shape}: expected (n, classes) and (n,), "
            "further dimensions after these, or (classes,) and ()"
        )
    if input.ndim > 2:
        input = input.permute(0, *range(2, input.ndim), 1)
    return input.reshape(target.size, input.shape[-1]), target.reshape(target.size)


def _holds(target: Tensor, value: int) -> bool:
    return target.dtype.kind == "i" and bool((target == value).astype("int64").sum() > 0)


def _of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: Reduction, label_smoothing: float
) -> Tensor:
    if not input.ndim:
        raise ValueError("cross_entropy: input of shape (): expected (classes,), (batch, classes) or more dimensions")
    at = min(1, input.ndim - 1)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[at]
    terms = sg.log_softmax(input, at) * target
    if weight is not None:
        terms = terms * weight.reshape(-1, *(1,) * (input.ndim - 1 - at))
    losses = -terms.sum(at)
    return reduced(losses, reduction)


def _expect_weight(what: str, input: Tensor, weight: Tensor | None) -> None:
    expect_optional(what, weight=weight)
    if weight is not None and weight.shape != input.shape[min(1, input.ndim - 1) :][:1]:
        raise ValueError(
            f"{what}: weight must have shape (classes,), one for each; got {weight.shape} for input of {input.shape}"
        )
