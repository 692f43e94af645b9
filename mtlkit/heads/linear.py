"""Base class of linear classifiers trained with the cross-entropy, whose losses can be fused."""

from abc import abstractmethod
from typing import final

from torch import Tensor

from mtlkit.heads.base import HeadModule
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.heads.fusion import linear_loss


class LinearHead(HeadModule):
    """A head whose loss is the cross-entropy described by `cross_entropy`.

    One op call computes all heads with equal options that read the same features. A subclass that
    overrides `loss` is never fused.
    """

    @abstractmethod
    def cross_entropy(self) -> LinearCrossEntropy:
        """Return the weight, the bias and all options of the loss."""

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        return linear_loss(self.cross_entropy(), features, target)

    @final
    def fusion(self) -> LinearCrossEntropy | None:
        overridden = type(self).loss is not LinearHead.loss or "loss" in vars(self)
        return None if overridden else self.cross_entropy()
