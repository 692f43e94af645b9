"""Options that map the names of losses to numbers."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.plugins import LossTerm, Problem


def unknown_losses(
    option: str, values: Mapping[str, float], terms: Sequence[LossTerm]
) -> Iterable[Problem]:
    """Yield a problem for each name in `values` that no loss has.

    >>> from mtlkit.plugins import Role
    >>> terms = [LossTerm("pose", "pose", Role.SIDE)]
    >>> print(*unknown_losses("preferences", {"poes": 2.0}, terms))
    weighting.preferences.poes: no loss is named 'poes'; the losses are pose
    """
    names = [term.name for term in terms]
    for name in values:
        if name not in names:
            yield Problem(
                ("weighting", option, name),
                f"no loss is named {name!r}; the losses are {', '.join(names)}",
            )


def tensor_by_loss(
    values: Mapping[str, float], terms: Sequence[LossTerm], default: float
) -> Tensor:
    """Return the values (T,) in the order of `terms`, and `default` for losses without one.

    >>> from mtlkit.plugins import Role
    >>> terms = [LossTerm(name, name, Role.SIDE) for name in ("age", "height")]
    >>> tensor_by_loss({"height": 3.0}, terms, 1.0).tolist()
    [1.0, 3.0]
    """
    return torch.tensor([values.get(term.name, default) for term in terms])
