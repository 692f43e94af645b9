"""The elements of a batch: logits with the classes last, and sums by component."""

from torch import Tensor

from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.tokens import TokenTarget
from mtlkit.targets.vector import VectorTarget

CLASSES: tuple[type[Target], ...] = (ClassTarget, ClassMapTarget, TokenTarget)
"""Targets that select one of several classes for each element."""

NUMBERS: tuple[type[Target], ...] = (NumberTarget, VectorTarget, RealMapTarget)
"""Targets of real numbers."""


def classes_last(target: Target, outputs: Tensor) -> Tensor:
    """Return the logits of a class target with the classes last; other outputs unchanged.

    >>> import torch
    >>> classes_last(ClassMapTarget(names=("road", "sky")), torch.zeros(5, 2, 8, 9)).shape
    torch.Size([5, 8, 9, 2])
    """
    if isinstance(target, CodedTarget) and not isinstance(target, MultiLabelTarget):
        return outputs.movedim(target.class_dim, -1)
    return outputs


def sum_by_component(target: Target, values: Tensor) -> Tensor:
    """Return the sum of `values` for each component (K,); (1,) for a target without components.

    `values` have the shape of a batch of labels.
    """
    if not target.components:
        return values.sum().reshape(1)
    return by_component(target, values).sum(dim=0)


def by_component(target: Target, values: Tensor) -> Tensor:
    """Return `values`, of the shape of a batch of labels, as (M, K), one column a component."""
    if not target.components:
        return values.reshape(-1, 1)
    return values.movedim(1, -1).reshape(-1, len(target.components))


def by_name(target: Target, values: Tensor) -> dict[str, float]:
    """Return `values` (K,) by the names of the components, without those that are NaN."""
    named = zip(target.components, values.tolist(), strict=True) if target.components else ()
    return {name: value for name, value in named if value == value}
