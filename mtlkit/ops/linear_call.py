"""Checked arguments of a linear cross-entropy, and the values that implementations derive."""

from typing import NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.kernels.arguments import check_labels
from mtlkit.ops.kernels.tiles import accumulator

NAME = "linear_cross_entropy"


class Call(NamedTuple):
    """Checked arguments; `x` includes the logit scale."""

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    target: Tensor
    class_weight: Tensor | None
    ignore_index: int
    label_smoothing: float
    reduction: str
    empty: str
    gradient: bool

    def check_target(self) -> None:
        """Raise `IndexError` for a target outside [0, C) that is not `ignore_index`."""
        check_labels(NAME, "target", self.target, len(self.weight), self.ignore_index)

    @property
    def valid(self) -> Tensor:
        """Mask (N,) of the rows that have a target."""
        return self.target != self.ignore_index

    def known_target(self) -> Tensor:
        """Return the targets (N,), class 0 where one is missing."""
        return self.target.masked_fill(~self.valid, 0)

    def row_weight(self) -> Tensor:
        """Return the weight (N,) of each row's target, 0 where it is missing."""
        valid = self.valid.to(accumulator(self.x.dtype))
        if self.class_weight is None:
            return valid
        return valid * self.class_weight.to(valid.dtype)[self.known_target()]

    def divisor(self) -> Tensor:
        """Return the divisor that turns the sum into the mean."""
        total = self.row_weight().sum()
        return torch.where(total == 0, 1.0, total) if self.empty == "zero" else total

    def reduced(self, losses: Tensor) -> Tensor:
        """Reduce the losses (N,) by `reduction`."""
        if self.reduction == "none":
            return losses
        return losses.sum() if self.reduction == "sum" else losses.sum() / self.divisor()

    @property
    def torch_reduction(self) -> str:
        """Reduction to request from torch, before `divided`."""
        keeps = self.reduction == "none" or self.empty == "nan"
        return self.reduction if keeps else "sum"

    def divided(self, loss: Tensor) -> Tensor:
        """Return a loss reduced by `torch_reduction`, divided if it still is a sum."""
        return loss if self.torch_reduction == self.reduction else loss / self.divisor()

    def class_sum(self) -> float | Tensor:
        """Return the sum of the class weights."""
        return float(len(self.weight)) if self.class_weight is None else self.class_weight.sum()

    def weighted_logits(self) -> Tensor:
        """Return sum_c class_weight_c z_nc (N,) by one product with a weighted sum of W's rows."""
        wide = accumulator(self.x.dtype)
        if self.class_weight is None:
            weights = self.x.new_ones(len(self.weight), dtype=wide)
        else:
            weights = self.class_weight.to(wide)
        logits = self.x.to(wide) @ (weights @ self.weight.to(wide))
        return logits if self.bias is None else logits + weights @ self.bias.to(wide)
