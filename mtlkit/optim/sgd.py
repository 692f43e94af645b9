"""Stochastic gradient descent."""

from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.component import between
from mtlkit.optim.base import Optimizer, ParameterGroups
from mtlkit.optim.lazy_rows import RowRule, sgd_rows


@attrs.frozen(kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    elementwise = True

    momentum: float = attrs.field(default=0.9, validator=between(0, 1))
    nesterov: bool = False

    def __attrs_post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0, got 0")

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        # one kernel for all parameters: half the time of a small model's step
        return FusedSGD(
            groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True
        )

    def row_rule(self) -> "RowRule":
        return sgd_rows


class FusedSGD(torch.optim.SGD):
    """SGD whose parameters may get their first gradients in different updates.

    The fused kernel of torch requires the momentum of all parameters or of none. Zeros stand for a
    missing one; they lead to the momentum that the first gradient sets, with the same bits.
    """

    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        momentum_buffer_list: list[Tensor | None],
    ) -> bool:
        sparse: bool = super()._init_group(  # type: ignore[no-untyped-call]
            group, params, grads, momentum_buffer_list
        )
        if any(buffer is not None for buffer in momentum_buffer_list):
            for index, buffer in enumerate(momentum_buffer_list):
                if buffer is None:
                    momentum_buffer_list[index] = torch.zeros_like(params[index])
        return sparse
