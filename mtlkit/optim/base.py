"""The families of optimisers and learning-rate schedules, and the built-in ones."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.component import Component, above, at_least, at_least_number, below, between

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
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    momentum: float = attrs.field(default=0.9, validator=between(0, 1))
    nesterov: bool = False

    def __attrs_post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 beside it, found 0")

    def build(self, groups: "Sequence[dict[str, Any]]") -> "torch.optim.Optimizer":
        from torch.optim import SGD

        return SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)


@attrs.frozen(kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019)."""

    lr: float = attrs.field(default=1e-3, validator=above(0))
    beta1: float = attrs.field(default=0.9, validator=below(1))
    beta2: float = attrs.field(default=0.999, validator=below(1))

    def build(self, groups: "Sequence[dict[str, Any]]") -> "torch.optim.Optimizer":
        from torch.optim import AdamW as TorchAdamW

        return TorchAdamW(groups, lr=self.lr, betas=(self.beta1, self.beta2))


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


@attrs.frozen(kw_only=True)
class Constant(Schedule):
    """The same learning rate throughout."""

    def factor(self, progress: float) -> float:
        return 1.0


@attrs.frozen(kw_only=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to `floor` (Loshchilov & Hutter, ICLR 2017).

    >>> Cosine().at(step=50, steps=100)
    0.5
    """

    floor: float = attrs.field(default=0.0, validator=between(0, 1))

    def factor(self, progress: float) -> float:
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2


@attrs.frozen(kw_only=True)
class Steps(Schedule):
    """A drop by `factor_each` at each of the given parts of training.

    The default is the schedule of Yin & Liu (TIP 2018): drops at epochs 10, 15 and 19 of 20.
    """

    at_progress: tuple[float, ...] = (0.5, 0.75, 0.95)
    factor_each: float = attrs.field(default=0.1, validator=above(0))

    def factor(self, progress: float) -> float:
        return self.factor_each ** sum(progress >= drop for drop in self.at_progress)
