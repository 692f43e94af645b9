"""Options by task name as vectors over the loss terms."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm


def preference_vector(
    values: Mapping[str, float], terms: Sequence[LossTerm], default: float
) -> Tensor:
    """Return `values` (T,) in the order of `terms`, with `default` for a term without one.

    >>> from mtlkit.task import Task, loss_terms
    >>> terms = loss_terms({"age": Task(), "height": Task()})
    >>> preference_vector({"height": 3.0}, terms, 1.0).tolist()
    [1.0, 3.0]
    """
    return torch.tensor([values.get(term.name, default) for term in terms])
