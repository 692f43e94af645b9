"""Energy vectors of linear heads on shared features, and how far their strongest places agree.

Shapes: D dimensions of the shared features x, C classes of a task.
"""

import math
from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.evaluators import EvaluationContext
from mtlkit.heads import ClassificationHead


@attrs.frozen(eq=False, kw_only=True)
class LinearHeads:
    """The weights (C, D) of each linear classifier on x, in float64 on the CPU.

    `task` is the one whose energy ranks the dimensions, `bias` (C,) its bias; `passed_over` says of
    each other task why it has no weights.
    """

    task: str
    weights: Mapping[str, Tensor]
    bias: Tensor
    passed_over: Mapping[str, str]

    @property
    def side(self) -> tuple[str, ...]:
        """The other tasks that have weights."""
        return tuple(name for name in self.weights if name != self.task)

    def energy(self) -> dict[str, Tensor]:
        """The energy vector (D,) of each task."""
        return {name: energy(weight) for name, weight in self.weights.items()}

    def all_energy(self) -> Tensor:
        """The energy vector (D,) of all tasks' weights side by side, the paper's W^all."""
        return energy(torch.cat([*self.weights.values()]))


def linear_heads(trained: EvaluationContext, task: str) -> LinearHeads:
    """The linear classifiers of `trained` that see the shared features.

    Raises `DataError` where `task` has none: its head is of another kind, or sees features of its
    own.
    """
    model = trained.model
    first = next(iter(trained.data.splits().values())).inputs[torch.tensor([0])]
    with torch.inference_mode():
        features = model.all_features(first.to(model.mean.device))
    weights: dict[str, Tensor] = {}
    passed_over: dict[str, str] = {}
    for name in model.tasks:
        head = model.head(name)
        if not isinstance(head, ClassificationHead):
            passed_over[name] = f"its head, {type(head).__name__}, is no linear classifier"
        elif features.of(name) is not features.shared:
            passed_over[name] = f"{type(model.router).__name__} gives it features of its own"
        else:
            weights[name] = head.linear.weight.detach().double().cpu()
    if task not in weights:
        reason = passed_over.get(task, f"the tasks are {', '.join(model.tasks)}")
        raise DataError(
            f"energy: the task {task!r} has no linear weights on the shared features: {reason}; "
            f"leave `face/energy` out of `evaluation`, or name another `task`"
        )
    main = model.head(task)
    assert isinstance(main, ClassificationHead)
    bias = main.linear.bias.detach().double().cpu()
    return LinearHeads(task=task, weights=weights, bias=bias, passed_over=passed_over)


def energy(weight: Tensor) -> Tensor:
    """The energy (D,) of each dimension, s_i = sum_j |W_ij| (Yin & Liu, TIP 2018, eq. 13).

    `weight` (C, D) is the transpose of the paper's W.

    >>> energy(torch.tensor([[1.0, -2.0], [3.0, 0.0]])).tolist()
    [4.0, 2.0]
    """
    return weight.abs().sum(dim=0)


def strongest(values: Tensor) -> Tensor:
    """The dimensions (D,), that of most energy first; equal ones in their own order.

    >>> strongest(torch.tensor([1.0, 3.0, 1.0, 2.0])).tolist()
    [1, 3, 0, 2]
    """
    return values.sort(descending=True, stable=True).indices


@attrs.frozen(kw_only=True)
class Overlap:
    """How many of the `most` strongest dimensions two tasks share, and what chance would give.

    Two sets of K of D, drawn without regard to each other, share a hypergeometric number:
    its mean is K^2/D, its variance K^2 (D - K)^2 / (D^2 (D - 1)).
    """

    most: int
    shared: int
    expected: float
    deviation: float

    @property
    def deviations(self) -> float:
        """How many standard deviations of chance lie between what is and what chance expects."""
        return (self.shared - self.expected) / self.deviation if self.deviation else 0.0


def overlap(first: Tensor, second: Tensor, most: int) -> Overlap:
    """The overlap of the `most` strongest dimensions of two energy vectors (D,).

    >>> overlap(torch.tensor([3.0, 2.0, 1.0, 0.0]), torch.tensor([3.0, 0.0, 2.0, 1.0]), 2).shared
    1
    """
    size = len(first)
    chosen = set(strongest(first)[:most].tolist())
    shared = len(chosen & set(strongest(second)[:most].tolist()))
    spread = most * (size - most) / (size * math.sqrt(size - 1)) if size > 1 else 0.0
    return Overlap(most=most, shared=shared, expected=most**2 / size, deviation=spread)


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's correlation of two energy vectors (D,) without ties; 0 where one is constant.

    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0]))
    -1.0
    """
    ranks = torch.stack([strongest(values).argsort().double() for values in (first, second)])
    if min(len(torch.unique(values)) for values in (first, second)) == 1:
        return 0.0
    return torch.corrcoef(ranks)[0, 1].item()
