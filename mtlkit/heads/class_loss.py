"""The cross-entropy of classes with weights of classes, label smoothing and focus.

Paper: Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He and Piotr Dollár, "Focal Loss for Dense
Object Detection", ICCV 2017.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.component import at_least_number, between
from mtlkit.errors import AssemblyError, DataError
from mtlkit.heads.base import Head
from mtlkit.heads.elements import sample_means
from mtlkit.heads.layers import sizes
from mtlkit.targets.rows import Rows, chunks
from mtlkit.task_types import MISSING


def loss_weights(_: Any, field: "attrs.Attribute[Any]", value: Mapping[str, float]) -> None:
    """Accept numbers above 0 by name."""
    for name, weight in value.items():
        if not weight > 0:
            raise ValueError(f"{field.name}: {name}: expected a number above 0, got {weight!r}")


@attrs.frozen(kw_only=True)
class ClassHead(Head):
    """Options of a head of classes with hidden layers and a `ClassLoss`."""

    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)
    class_weights: Mapping[str, float] = attrs.field(factory=dict, validator=loss_weights)
    balanced: bool = False
    focal: float = attrs.field(default=0.0, validator=at_least_number(0))
    label_smoothing: float = attrs.field(default=0.0, validator=between(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.class_weights and self.balanced:
            raise ValueError("balanced: expected one of `balanced` and `class_weights`")

    @property
    def is_linear(self) -> bool:
        """True if it is linear with the plain cross-entropy, whose losses ops can fuse."""
        return not (self.hidden or self.class_weights or self.balanced or self.focal)


class ClassLoss(nn.Module):
    """Loss -w_y (1 - p_y)^focal log p_y of each element, averaged over those of each sample.

    The weights w of classes are 1 unless they are given by name. With `balanced` they are
    n / (C n_c), from the n training elements, of which n_c have the class c: their mean over the
    training elements is 1. The mean divides by the number of elements, not by the sum of w.

    >>> loss = ClassLoss(("left", "right"), weights={"right": 2.0})
    >>> loss(torch.zeros(2, 2), torch.tensor([0, 1])).tolist()  # ln 2, 2 ln 2
    [0.6931471824645996, 1.3862943649291992]
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        weights: Mapping[str, float],
        balanced: bool = False,
        focal: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        unknown = [name for name in weights if name not in classes]
        if unknown:
            raise AssemblyError(
                f"class_weights: no class {unknown[0]!r}; the classes are {', '.join(classes[:10])}"
                f"{', ...' if len(classes) > 10 else ''}"
            )
        if weights and balanced:
            raise AssemblyError("balanced: expected one of `balanced` and `class_weights`")
        self.classes, self.balanced = classes, balanced
        self.focal, self.label_smoothing = focal, label_smoothing
        values = torch.tensor([weights.get(name, 1.0) for name in classes])
        self.weights = nn.Buffer(values)

    @classmethod
    def of(cls, options: ClassHead, classes: tuple[str, ...]) -> "ClassLoss":
        """Return the loss of `classes` for the options of a head."""
        return cls(
            classes,
            weights=options.class_weights,
            balanced=options.balanced,
            focal=options.focal,
            label_smoothing=options.label_smoothing,
        )

    def fit(self, labels: Rows) -> None:
        """Compute balanced weights from the training labels; raise `DataError` without a class."""
        if not self.balanced:
            return
        counts = torch.zeros(len(self.classes), dtype=torch.int64)
        for part in chunks(labels):
            counts += torch.bincount(part[part != MISSING], minlength=len(self.classes))
        absent = (counts == 0).nonzero().flatten().tolist()
        if absent:
            raise DataError(
                f"balanced: no training label is {self.classes[absent[0]]!r}, so its weight is "
                f"infinite; remove the class, or use `class_weights`"
            )
        self.weights.copy_(counts.sum() / (len(counts) * counts))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss (N,) of logits (N, C, ...) against classes (N, ...)."""
        logits = logits.float()
        losses = F.cross_entropy(
            logits,
            target,
            weight=self.weights,
            ignore_index=MISSING,
            label_smoothing=self.label_smoothing,
            reduction="none",
        )
        present = target != MISSING
        if self.focal > 0:
            known = torch.where(present, target, 0).unsqueeze(1)
            log_p = logits.log_softmax(dim=1).gather(1, known).squeeze(1)
            # 1 - exp(log_p) loses all digits for p near 1
            losses = losses * (-torch.expm1(log_p)).clamp(min=0).pow(self.focal)
        return losses if target.dim() == 1 else sample_means(losses, present)
