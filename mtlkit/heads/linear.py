"""Base class of linear classifiers trained with the cross-entropy, whose losses can be fused."""

from abc import abstractmethod
from typing import final

from torch import Tensor, nn

from mtlkit.heads.base import HeadModule
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.heads.fusion import linear_loss
from mtlkit.heads.layers import small


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


class LinearClassifier(LinearHead):
    """Logits W x + b of the features x (..., D), as (..., C).

    Weights are initialized from N(0, 0.01) and biases to 0, as in the released nets of Yin & Liu
    (TIP 2018).
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        label_smoothing: float = 0.0,
        implementation: str | None = None,
    ) -> None:
        super().__init__()
        self.linear = small(nn.Linear(features, classes))
        self.label_smoothing, self.implementation = label_smoothing, implementation

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features)
        return logits

    def cross_entropy(self) -> LinearCrossEntropy:
        return LinearCrossEntropy(
            weight=self.linear.weight,
            bias=self.linear.bias,
            label_smoothing=self.label_smoothing,
            implementation=self.implementation,
        )
