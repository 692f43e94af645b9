"""The losses of all heads of a network: linear ones that see the same features at once."""

from collections.abc import Mapping

from torch import Tensor

from mtlkit.heads.base import HeadModule
from mtlkit.heads.classification import ClassificationHead, is_plain
from mtlkit.ops import multi_head_cross_entropy
from mtlkit.task_types import MISSING


def losses_of_heads(
    heads: Mapping[str, HeadModule],
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The loss (N,) of each head, from the features (N, D) that it sees and its targets (N,).

    Classifiers that leave open how their losses are computed, and see one tensor, are one call of
    `multi_head_cross_entropy`, which chooses between one product for all and one for each.
    """
    found: dict[str, Tensor] = {}
    alike: dict[tuple[int, float], dict[str, ClassificationHead]] = {}
    for task, head in heads.items():
        if is_plain(head):
            alike.setdefault((id(features[task]), head.label_smoothing), {})[task] = head
        else:
            found[task] = head.loss(features[task], targets[task])
    for group in alike.values():
        if len(group) == 1:
            found |= {
                task: head.loss(features[task], targets[task]) for task, head in group.items()
            }
        else:
            found |= _together(group, features, targets)
    return found


def _together(
    heads: Mapping[str, ClassificationHead],
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The losses of heads that see the same features."""
    tasks = list(heads)
    linear = [head.linear for head in heads.values()]
    losses = multi_head_cross_entropy(
        features[tasks[0]],
        [each.weight for each in linear],
        [targets[task] for task in tasks],
        [each.bias for each in linear],
        ignore_index=MISSING,
        label_smoothing=heads[tasks[0]].label_smoothing,
        reduction="none",
    ).losses
    return dict(zip(tasks, losses, strict=True))
