"""Base classes of optimizers and learning-rate schedules."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from mtlkit.component import Component, above, at_least, at_least_number, between, optional

if TYPE_CHECKING:
    import torch

    from mtlkit.optim.lazy_rows import RowRule

ParameterGroups = Sequence[dict[str, Any]]
"""Groups of parameters, each with options such as ``lr`` and ``weight_decay``."""


@attrs.frozen(kw_only=True)
class PartRates:
    """Learning rate and weight decay of a part of the model; None leaves those of the optimizer."""

    lr: float | None = attrs.field(default=None, validator=optional(above(0)))
    weight_decay: float | None = attrs.field(default=None, validator=optional(at_least_number(0)))


@attrs.frozen(kw_only=True)
class Optimizer(Component):
    """Options of an optimizer; `lr` and `weight_decay` are the defaults of parameter groups.

    `parts` gives parts of the model (``backbone``, ``router``, ``heads``) or names with wildcards
    other rates; if several match a parameter, the last one counts. With `layer_decay` d, layer i of
    the L layers of a backbone has d^(L + 1 - i) times the learning rate.
    """

    elementwise: ClassVar[bool] = False
    """True if each number is updated from its own gradients, so that processes can divide rows."""

    replaces_schedule: ClassVar[bool] = False
    """True if it is used with constant rates only."""

    lr: float = attrs.field(default=0.01, validator=above(0))
    weight_decay: float = attrs.field(default=0.0, validator=at_least_number(0))
    parts: Mapping[str, PartRates] = attrs.field(factory=dict)
    layer_decay: float | None = attrs.field(default=None, validator=optional(between(0.001, 1)))

    @abstractmethod
    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        """Return the optimizer of parameter groups, each with ``lr`` and ``weight_decay``."""

    def row_rule(self) -> "RowRule | None":
        """Return the update of rows with a sparse gradient; None if there is none."""
        return None


@attrs.frozen(kw_only=True)
class Schedule(Component):
    """Factor of the learning rate, a pure function of training progress."""

    warmup_steps: int = attrs.field(default=0, validator=at_least(0))  # of linear increase from 0

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Return the factor of the learning rate at `progress`, from 0 (start) to 1 (end)."""

    def at(self, step: int, steps: int) -> float:
        """Return the factor of step `step` (from 0) of `steps`, including warm-up."""
        warmup = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return warmup * self.factor(step / max(steps, 1))
