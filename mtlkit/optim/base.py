"""Base classes of optimizers and learning-rate schedules."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.component import Component, above, at_least, at_least_number

if TYPE_CHECKING:
    import torch


@attrs.frozen(kw_only=True)
class Optimizer(Component):
    """Options of an optimizer; `lr` and `weight_decay` are the defaults of parameter groups."""

    lr: float = attrs.field(default=0.01, validator=above(0))
    weight_decay: float = attrs.field(default=0.0, validator=at_least_number(0))

    @abstractmethod
    def build(self, groups: "Sequence[dict[str, Any]]") -> "torch.optim.Optimizer":
        """Return the optimizer of parameter groups, each with ``lr`` and ``weight_decay``."""


@attrs.frozen(kw_only=True)
class Schedule(Component):
    """Factor of the learning rate, a pure function of training progress."""

    warmup: int = attrs.field(default=0, validator=at_least(0))  # steps of linear increase from 0

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Return the factor of the learning rate at `progress`, from 0 (start) to 1 (end)."""

    def at(self, step: int, steps: int) -> float:
        """Return the factor of step `step` (from 0) of `steps`, including warm-up."""
        warmup = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warmup * self.factor(step / max(steps, 1))
