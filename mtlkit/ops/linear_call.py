"""The arguments of a linear cross-entropy, checked, and what every implementation asks of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.kernels.arguments import check_labels
from mtlkit.ops.kernels.tiles import accumulator

NAME = "linear_cross_entropy"


class Call(NamedTuple):
    """The arguments, checked; `x` has the logit scale in it."""

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
        """`IndexError` for a target outside [0, C) that is not `ignore_index`."""
        check_labels(NAME, "target", self.target, len(self.weight), self.ignore_index)

    @property
    def valid(self) -> Tensor:
        """Which rows have a target (N,)."""
        return self.target != self.ignore_index

    def known_target(self) -> Tensor:
        """The targets (N,), class 0 where there is none."""
        return self.target.masked_fill(~self.valid, 0)

    def row_weight(self) -> Tensor:
        """The weight (N,) of each row's target, 0 where there is none."""
        valid = self.valid.to(accumulator(self.x.dtype))
        if self.class_weight is None:
            return valid
        return valid * self.class_weight.to(valid.dtype)[self.known_target()]

    def divisor(self) -> Tensor:
        """By what the sum is divided to give the mean."""
        total = self.row_weight().sum()
        return torch.where(total == 0, 1.0, total) if self.empty == "zero" else total

    def reduced(self, losses: Tensor) -> Tensor:
        """The losses (N,) as `reduction` says."""
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
        """The sum of the class weights."""
        return float(len(self.weight)) if self.class_weight is None else self.class_weight.sum()

    def weighted_logits(self) -> Tensor:
        """sum_c class_weight_c z_nc (N,): one product with the weighted sum of the rows of W."""
        wide = accumulator(self.x.dtype)
        if self.class_weight is None:
            weights = self.x.new_ones(len(self.weight), dtype=wide)
        else:
            weights = self.class_weight.to(wide)
        logits = self.x.to(wide) @ (weights @ self.weight.to(wide))
        return logits if self.bias is None else logits + weights @ self.bias.to(wide)
