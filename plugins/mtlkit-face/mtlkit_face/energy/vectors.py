"""Energy vectors of linear heads on shared features, and the overlap of their strongest dimensions.

Shapes: D dimensions of the shared features x, C classes of a task.
"""

import math
from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.data import single_input
from mtlkit.evaluators import EvaluationContext
from mtlkit.heads import ClassificationHead
from mtlkit.plugins import DataError


@attrs.frozen(eq=False, kw_only=True)
class LinearHeads:
    """Weights (C, D) of each linear classifier on x, in float64 on the CPU.

    The energy of `task` ranks the dimensions; `bias` (C,) is its bias. `skipped` maps each task
    without weights to the reason.
    """

    task: str
    weights: Mapping[str, Tensor]
    bias: Tensor
    skipped: Mapping[str, str]

    @property
    def side(self) -> tuple[str, ...]:
        """Names of the other tasks that have weights."""
        return tuple(name for name in self.weights if name != self.task)

    def energy(self) -> dict[str, Tensor]:
        """Return the energy vector (D,) of each task."""
        return {name: energy_vector(weight) for name, weight in self.weights.items()}

    def all_energy(self) -> Tensor:
        """Return the energy vector (D,) of the concatenated weights, the paper's W^all."""
        return energy_vector(torch.cat([*self.weights.values()]))


def linear_heads(trained: EvaluationContext, task: str) -> LinearHeads:
    """Return the linear classifiers of `trained` that read the shared features.

    Raises `DataError` if the head of `task` is not one of them.
    """
    model = trained.model
    first = next(iter(trained.data.splits().values())).inputs[torch.tensor([0])]
    with torch.inference_mode():
        features = model.all_features(single_input(first).to(next(model.parameters()).device))
    weights: dict[str, Tensor] = {}
    skipped: dict[str, str] = {}
    for name in model.tasks:
        head = model.head(name)
        if not isinstance(head, ClassificationHead):
            skipped[name] = f"its head, {type(head).__name__}, is not a linear classifier"
        elif features.of(name) is not features.shared:
            skipped[name] = f"{type(model.router).__name__} computes separate features for it"
        else:
            weights[name] = head.linear.weight.detach().double().cpu()
    if task not in weights:
        reason = skipped.get(task, f"the tasks are {', '.join(model.tasks)}")
        raise DataError(
            f"energy: the task {task!r} has no linear weights on the shared features: {reason}; "
            f"leave `face/energy` out of `evaluators`, or name another `task`"
        )
    main = model.head(task)
    assert isinstance(main, ClassificationHead)
    bias = main.linear.bias.detach().double().cpu()
    return LinearHeads(task=task, weights=weights, bias=bias, skipped=skipped)


def energy_vector(weight: Tensor) -> Tensor:
    """Return the energy (D,) of each dimension, s_i = sum_j |W_ij| (Yin & Liu, TIP 2018, eq. 13).

    `weight` (C, D) is the transpose of the paper's W.

    >>> energy_vector(torch.tensor([[1.0, -2.0], [3.0, 0.0]])).tolist()
    [4.0, 2.0]
    """
    return weight.abs().sum(dim=0)


def strongest(values: Tensor) -> Tensor:
    """Return the dimensions (D,) in descending order of energy; the order of ties is kept.

    >>> strongest(torch.tensor([1.0, 3.0, 1.0, 2.0])).tolist()
    [1, 3, 0, 2]
    """
    return values.sort(descending=True, stable=True).indices


@attrs.frozen(kw_only=True)
class Overlap:
    """Number of the `most` strongest dimensions that two tasks share, and its chance distribution.

    The overlap of two independent random sets of K of D dimensions is hypergeometric, with mean
    K^2/D (`expected`) and variance K^2 (D - K)^2 / (D^2 (D - 1)); `std` is its square root.
    """

    most: int
    shared: int
    expected: float
    std: float

    @property
    def z_score(self) -> float:
        """Difference between `shared` and `expected` in units of `std`."""
        return (self.shared - self.expected) / self.std if self.std else 0.0


def overlap(first: Tensor, second: Tensor, most: int) -> Overlap:
    """Return the overlap of the `most` strongest dimensions of two energy vectors (D,).

    >>> overlap(torch.tensor([3.0, 2.0, 1.0, 0.0]), torch.tensor([3.0, 0.0, 2.0, 1.0]), 2).shared
    1
    """
    size = len(first)
    chosen = set(strongest(first)[:most].tolist())
    shared = len(chosen & set(strongest(second)[:most].tolist()))
    std = most * (size - most) / (size * math.sqrt(size - 1)) if size > 1 else 0.0
    return Overlap(most=most, shared=shared, expected=most**2 / size, std=std)


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Return Spearman's correlation of two energy vectors (D,) without ties, 0 if one is constant.

    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0]))
    -1.0
    """
    ranks = torch.stack([strongest(values).argsort().double() for values in (first, second)])
    if min(len(torch.unique(values)) for values in (first, second)) == 1:
        return 0.0
    return torch.corrcoef(ranks)[0, 1].item()
