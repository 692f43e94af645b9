"""Losses of linear classifiers from their descriptions: one at a time, or several in one op call.

`LinearHead` computes its loss from the same description. An option can therefore not affect the
loss of a single head and be dropped when heads are fused.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlkit.heads.base import HeadModule
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.heads.elements import sample_means
from mtlkit.ops import grouped_linear_cross_entropy, linear_cross_entropy, multi_head_cross_entropy
from mtlkit.task_types import MISSING


def head_losses(
    heads: Mapping[str, HeadModule],
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    sources: Mapping[str, Hashable],
) -> dict[str, Tensor]:
    """Return the loss (N,) of each head from its features and targets.

    Heads with equal `sources` read the same tensor. Those of them with equal fusion keys are
    computed by one call of `multi_head_cross_entropy`, which selects one matrix product for all or
    one for each.
    """
    losses: dict[str, Tensor] = {}
    groups: dict[tuple[Hashable, Any], dict[str, LinearCrossEntropy]] = {}
    readers = Counter(sources[task] for task in heads)
    for task, head in heads.items():
        source = sources[task]
        description = head.fusion() if readers[source] > 1 else None
        if description is None or description.key is None:
            losses[task] = head.loss(features[task], targets[task])
        else:
            groups.setdefault((source, description.key), {})[task] = description
    for group in groups.values():
        shared = features[next(iter(group))]
        fused = multi_head_losses([*group.values()], shared, [targets[task] for task in group])
        losses |= zip(group, fused, strict=True)
    return losses


def multi_head_losses(
    heads: Sequence[LinearCrossEntropy], features: Tensor, targets: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Return the loss (N,) of each head at `features`; all heads have the same key.

    Shapes: features (N, D), maps (N, D, H, W) or tokens (N, L, D), with targets (N,), (N, H, W) or
    (N, L).
    """
    if len(heads) == 1:
        return [linear_loss(heads[0], features, targets[0])]
    losses = multi_head_cross_entropy(
        _rows(features),
        [head.weight for head in heads],
        [target.reshape(-1) for target in targets],
        [head.bias for head in heads],
        ignore_index=MISSING,
        reduction="none",
        **heads[0].options,
    ).losses.unbind()
    pairs = zip(losses, targets, strict=True)
    return [_sample_means(values, target) for values, target in pairs]


def linear_loss(head: LinearCrossEntropy, features: Tensor, target: Tensor) -> Tensor:
    """Return the loss (N,) of one head, in the shapes of `multi_head_losses`."""
    losses = linear_cross_entropy(
        _rows(features),
        head.weight,
        target.reshape(-1),
        head.bias,
        ignore_index=MISSING,
        reduction="none",
        implementation=head.implementation,
        **head.options,
    )
    return _sample_means(losses, target)


def _rows(features: Tensor) -> Tensor:
    """Return features (N, D), maps (N, D, H, W) or tokens (N, L, D) as rows (M, D)."""
    if features.dim() == 2:
        return features
    last = features.movedim(1, -1) if features.dim() == 4 else features
    return last.reshape(-1, last.shape[-1])


def _sample_means(losses: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the `losses` (M,) of each sample (N,) over its present elements."""
    if target.dim() == 1:
        return losses
    return sample_means(losses.view_as(target), target != MISSING)


def grouped_losses(
    heads: Sequence[LinearCrossEntropy], features: Tensor, target: Tensor, group: Tensor
) -> Tensor:
    """Return the loss of each sample (N,) by the head of its `group` (N,); 0 for group -1.

    All heads have the same key.
    """
    return grouped_linear_cross_entropy(
        features,
        [head.weight for head in heads],
        target,
        group,
        [head.bias for head in heads],
        ignore_index=MISSING,
        reduction="none",
        **heads[0].options,
    )


def fusible(heads: Sequence[HeadModule]) -> Sequence[LinearCrossEntropy]:
    """Return the descriptions of `heads` if they can be fused together, else an empty list."""
    described = [description for head in heads if (description := head.fusion()) is not None]
    keys = {description.key for description in described}
    return described if len(described) == len(heads) and len(keys) == 1 and None not in keys else []
