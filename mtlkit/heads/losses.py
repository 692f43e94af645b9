"""Losses of all heads of a network; linear classifiers of the same features are fused."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mtlkit.heads.base import HeadModule
from mtlkit.heads.fusion import LinearCrossEntropy, multi_head_losses


def head_losses(
    heads: Mapping[str, HeadModule],
    shared: Tensor,
    own: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Return the loss (N,) of each head from its features (N, D) and targets (N,).

    A head reads its `own` features if it has any, and the `shared` ones otherwise. Heads of the
    shared features whose fusion keys are equal are one call of `multi_head_cross_entropy`, which
    chooses between one matrix product for all and one for each.
    """
    losses: dict[str, Tensor] = {}
    groups: dict[tuple[tuple[str, Any], ...], dict[str, LinearCrossEntropy]] = {}
    for task, head in heads.items():
        description = None if task in own else head.fusion()
        if description is None or description.key is None:
            losses[task] = head.loss(own.get(task, shared), targets[task])
        else:
            groups.setdefault(description.key, {})[task] = description
    for group in groups.values():
        if len(group) == 1:
            losses |= {task: head.loss(shared, targets[task]) for task, head in group.items()}
        else:
            fused = multi_head_losses([*group.values()], shared, [targets[task] for task in group])
            losses |= zip(group, fused, strict=True)
    return losses
