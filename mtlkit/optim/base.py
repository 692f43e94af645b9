"""The families of optimisers and learning-rate schedules, and the built-in ones."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.component import Component, above, at_least, at_least_number

if TYPE_CHECKING:
    import torch


@attrs.frozen(kw_only=True)
class Optimizer(Component):
    """The rule of the update; `lr` and `weight_decay` are the defaults of its groups."""

    lr: float = attrs.field(default=0.01, validator=above(0))
    weight_decay: float = attrs.field(default=0.0, validator=at_least_number(0))

    @abstractmethod
    def build(self, groups: "Sequence[dict[str, Any]]") -> "torch.optim.Optimizer":
        """The optimiser of parameter groups, each with its own ``lr`` and ``weight_decay``."""


@attrs.frozen(kw_only=True)
class Schedule(Component):
    """How the learning rate changes: a pure function of how far training has come."""

    warmup: int = attrs.field(default=0, validator=at_least(0))  # steps of linear growth from 0

    @abstractmethod
    def factor(self, progress: float) -> float:
        """What the learning rate is multiplied by at `progress`, from 0 (start) to 1 (end)."""

    def at(self, step: int, steps: int) -> float:
        """The factor of step `step` (from 0) of `steps`, warm-up included."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warm * self.factor(step / max(steps, 1))
