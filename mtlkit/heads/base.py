"""Base classes of heads: options, and a module with outputs and a loss."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.component import Component
from mtlkit.features.base import FeatureSpec
from mtlkit.features.vectors import VectorFeatures
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.metrics.base import Metric
from mtlkit.ops.row_shard import RowShard
from mtlkit.targets.base import Target
from mtlkit.targets.rows import Rows


@attrs.frozen(kw_only=True)
class Head(Component):
    """Options of a head, which computes the prediction and the loss of one task from features.

    `targets` are the types of targets that it predicts, and `reads` the kinds of features that it
    reads. `default_metrics` apply to a task that lists none; the first is then its primary metric.
    """

    targets: ClassVar[tuple[type[Target], ...]]
    default_metrics: ClassVar[tuple[Metric, ...]] = ()
    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (VectorFeatures,)

    @classmethod
    def predicts(cls, target: type[Target]) -> bool:
        """Return True if the head predicts targets of the type `target`."""
        return any(issubclass(kind, target) for kind in cls.targets)

    @property
    def shards(self) -> bool:
        """Return True if each process holds some rows of the head's parameters."""
        return False

    @property
    def updates_rows(self) -> bool:
        """Return True if updates change only the rows that have a gradient."""
        return False

    @abstractmethod
    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        """Return the module for `features` and labels of the type `target`."""


class HeadModule(nn.Module, ABC):
    """Maps features (N, D) to a prediction and a loss of each sample.

    Shapes: N samples, D features, C classes.
    """

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Return the raw outputs for features (N, D): logits (N, C) or values (N,)."""

    @abstractmethod
    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        """Return the float32 loss of each sample (N,): the mean over its present elements.

        It is exactly 0 if no element is present.
        """

    def fusion(self) -> LinearCrossEntropy | None:
        """Return the description of this loss for fused ops; None for a loss of another form.

        `LinearHead` computes the loss from the same description, so the two cannot differ.
        """
        return None

    def row_shards(self) -> Mapping[str, RowShard]:
        """Return the shard of each parameter of which this process holds some rows, by name.

        The gradient of such a parameter must be divided by the number of processes, since a step
        multiplies its losses by it; `sharded_margin_cross_entropy` does so.
        """
        return {}

    def fit_targets(self, labels: Rows) -> None:
        """Compute statistics of the training labels, such as their scale; by default nothing.

        Read them by `mtlkit.data.chunks`, because maps are not kept in memory.
        """
