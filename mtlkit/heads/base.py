"""The contract of heads: options, and a module that owns its loss."""

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.component import Component
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.metrics.base import Metric
from mtlkit.task_types import TaskKind


@attrs.frozen(kw_only=True)
class Head(Component):
    """What turns shared features into the prediction and the loss of one task.

    `default_metrics` measure a task that lists none; the first is then its primary metric.
    """

    kind: ClassVar[TaskKind]
    default_metrics: ClassVar[tuple[Metric, ...]] = ()

    @abstractmethod
    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        """The module for features (N, `features`); `classes` is empty for a regression."""


class HeadModule(nn.Module, ABC):
    """Features (N, D) to a prediction and a loss of each sample.

    Shapes: N samples, D features, C classes.
    """

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """The raw outputs for features (N, D): logits (N, C), or values (N,)."""

    @abstractmethod
    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        """The loss of each sample (N,) in float32; exactly 0 where the target is missing."""

    @abstractmethod
    def present(self, target: Tensor) -> Tensor:
        """Which targets (N,) are there, as a boolean tensor (N,)."""

    def fusion(self) -> LinearCrossEntropy | None:
        """Return what a fused op must compute for this loss; None for a loss of another form.

        `LinearHead` derives both from one description, and so cannot let them differ.
        """
        return None

    def fit_targets(self, target: Tensor) -> None:
        """Learn from the training targets what the head must know about their scale."""
