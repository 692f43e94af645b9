"""Sparse gate DSelect-k (Hazimeh et al., NeurIPS 2021).

Paper: Hussein Hazimeh, Zhe Zhao, Aakanksha Chowdhery, Maheswaran Sathiamoorthy, Yihua Chen, Rahul
Mazumder, Lichan Hong and Ed H. Chi, "DSelect-k: Differentiable Selection in the Mixture of Experts
with Applications to Multi-Task Learning", NeurIPS 2021.
"""

import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least
from mtlkit.routers.base import RouterModule, Wiring
from mtlkit.routers.experts import ExpertRouter, Experts, ExpertSharing, mixed


def _power_of_two(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 2 or value & (value - 1):
        raise ValueError(f"{field.name}: expected a power of two of at least 2, got {value!r}")


@attrs.frozen(kw_only=True)
class DSelectK(ExpertSharing):
    """A sparse selection of `k` of the experts for each task (Hazimeh et al., NeurIPS 2021).

    Each of the `k` selectors encodes an expert in binary digits. A smooth step of width `gamma`
    relaxes each digit; outside that width it is exactly 0 or 1. With `per_sample` the selection
    depends on the sample. The paper's entropy penalty, which speeds up convergence to a single
    expert, is omitted because it is not the loss of a task. `width` is the width of each expert's
    features; None uses that of the backbone.
    """

    experts: int = attrs.field(default=4, validator=_power_of_two)
    k: int = attrs.field(default=2, validator=at_least(1))
    gamma: float = attrs.field(default=1.0, validator=above(0))
    per_sample: bool = False

    def build(self, wiring: Wiring) -> "RouterModule":
        return DSelectKRouter(self, wiring)


def smooth_step(value: Tensor, gamma: float) -> Tensor:
    """Return 0 below -gamma / 2, 1 above gamma / 2, and a cubic with a continuous slope between.

    >>> smooth_step(torch.tensor([-1.0, 0.0, 0.25, 1.0]), 1.0).tolist()
    [0.0, 0.5, 0.84375, 1.0]
    """
    inside = value.clamp(-gamma / 2, gamma / 2)
    return -2 / gamma**3 * inside**3 + 3 / (2 * gamma) * inside + 0.5


def selected(digits: Tensor, codes: Tensor) -> Tensor:
    """Return the weight of each expert (..., E) from relaxed digits (..., m); weights sum to 1.

    `codes` (E, m) are the numbers of the experts in binary.

    >>> selected(torch.tensor([1.0, 0.0]), binary_codes(4)).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    digits = digits.unsqueeze(-2)
    return torch.where(codes, digits, 1 - digits).prod(dim=-1)


def binary_codes(experts: int) -> Tensor:
    """Return the numbers 0 to E - 1 in binary (E, m), lowest digit first."""
    shifts = torch.arange((experts - 1).bit_length())
    return (torch.arange(experts).unsqueeze(1) >> shifts & 1).bool()


class DSelectKRouter(ExpertRouter):
    """Weights q(alpha, z) = sum_k softmax(alpha)_k r(z_k) of the experts.

    With `per_sample`, alpha and z are linear maps of the features; otherwise they are parameters.
    They start near 0, where the slope of the smooth step is largest.
    """

    def __init__(self, config: DSelectK, wiring: Wiring) -> None:
        super().__init__(wiring)
        self.gamma = config.gamma
        size = self.features.width
        self.experts = Experts(size, config.experts, config.head_features(self.features).width)
        self.codes = nn.Buffer(binary_codes(config.experts), persistent=False)
        self.shape = (len(self.tasks), config.k, 1 + self.codes.shape[1])  # alpha, then z
        self.choice = nn.Linear(size if config.per_sample else 1, math.prod(self.shape), bias=False)
        nn.init.uniform_(self.choice.weight, -config.gamma / 100, config.gamma / 100)
        self.per_sample = config.per_sample

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.experts, self.choice)

    def mixtures(self, rows: Tensor) -> Tensor:
        return mixed(self.weights(rows), self.experts(rows))

    def weights(self, rows: Tensor) -> Tensor:
        """Return the weight of each expert for each task (..., T, E), from rows (..., D)."""
        inputs = rows if self.per_sample else rows.new_ones(*[1] * rows.dim())
        choice = self.choice(inputs).float().unflatten(-1, self.shape)
        experts = selected(smooth_step(choice[..., 1:], self.gamma), self.codes)
        fraction = choice[..., 0].softmax(dim=-1)
        return torch.sum(fraction.unsqueeze(-1) * experts, dim=-2)
