"""Convex multi-task feature learning (Argyriou et al., Machine Learning 2008).

Paper: Andreas Argyriou, Theodoros Evgeniou and Massimiliano Pontil, "Convex Multi-Task Feature
Learning", Machine Learning 2008.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.callbacks.parameter_selection import select_parameters
from mtlkit.component import above, one_of
from mtlkit.errors import AssemblyError


@attrs.frozen(kw_only=True)
class FeatureLearning(Callback):
    """Penalize the weights of all heads together, so that they share features (Argyriou 2008).

    W (D, K) has a column for each output of the heads over D features. With the `norm` ``trace``
    the penalty is `strength` |W|_tr^2, which learns a few directions that all tasks use; with
    ``l21`` it is `strength` |W|_{2,1}^2, which selects features. `epsilon` is the paper's
    perturbation of the squared singular values, or norms of rows. `parameters` select the weights
    by part or by names with wildcards; vectors such as biases are left out.
    """

    strength: float = attrs.field(default=1e-3, validator=above(0))
    norm: str = attrs.field(default="trace", validator=one_of("trace", "l21"))
    epsilon: float = attrs.field(default=1e-6, validator=above(0))
    parameters: tuple[str, ...] = ("heads",)

    def build(self, run: TrainingRun) -> CallbackState:
        return _FeatureLearning(self, run)


class _FeatureLearning(CallbackState):
    def __init__(self, options: FeatureLearning, run: TrainingRun) -> None:
        super().__init__(run)
        self.options = options
        selected = select_parameters(run.model, options.parameters, "callbacks: feature-learning")
        matrices = {name: p for name, p in selected.items() if p.dim() > 1}
        widths = {name: p[0].numel() for name, p in matrices.items()}
        if len(set(widths.values())) != 1:
            shown = ", ".join(f"{name} of {width}" for name, width in widths.items()) or "none"
            raise AssemblyError(
                f"callbacks: feature-learning: got weights of different numbers of features "
                f"({shown}), expected those of one layer of each head; select them by `parameters`"
            )
        self.matrices = list(matrices.values())

    def after_backward(self, step: int) -> None:
        gradient = penalty_gradient(self._weights(), self.options) * self.options.strength
        parts = torch.split(gradient, [len(p) for p in self.matrices], dim=1)
        for parameter, part in zip(self.matrices, parts, strict=True):
            added = part.T.reshape(parameter.shape).to(parameter.dtype)
            parameter.grad = added if parameter.grad is None else parameter.grad + added

    def log_values(self) -> Mapping[str, float]:
        value = self.options.strength * penalty(self._weights(), self.options).item()
        return {"feature learning penalty": value}

    def _weights(self) -> Tensor:
        """Return W (D, K) in float64."""
        return torch.cat([p.detach().flatten(1).double() for p in self.matrices]).T


def penalty(weights: Tensor, options: FeatureLearning) -> Tensor:
    """Return the penalty of W (D, K) for the strength 1: (tr (W W' + epsilon I)^(1/2))^2, or l21.

    It is the minimum over D with tr D = 1 of sum_t w_t' D^-1 w_t + epsilon tr D^-1, which algorithm
    1 reaches at D = (W W' + epsilon I)^(1/2) / tr (W W' + epsilon I)^(1/2).

    >>> weights = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> [round(penalty(weights, FeatureLearning(norm=n)).item()) for n in ("trace", "l21")]
    [49, 49]
    """
    return _smoothed(weights, options).sum().square()


def penalty_gradient(weights: Tensor, options: FeatureLearning) -> Tensor:
    """Return the gradient of `penalty` at W (D, K): 2 D^-1 W with the minimizing D."""
    total = _smoothed(weights, options).sum()
    if options.norm == "l21":
        norms = weights.square().sum(dim=1, keepdim=True)
        scaled = weights / (norms + options.epsilon).sqrt()
    else:
        u, values, vh = torch.linalg.svd(weights, full_matrices=False)
        scaled = (u * (values / (values.square() + options.epsilon).sqrt())) @ vh
    gradient: Tensor = 2 * total * scaled
    return gradient


def _smoothed(weights: Tensor, options: FeatureLearning) -> Tensor:
    """Return the D singular values of W (D, K), or norms of its rows, with their perturbation."""
    if options.norm == "l21":
        squares = weights.square().sum(dim=1)
    else:
        values = torch.linalg.svdvals(weights)
        squares = torch.zeros(len(weights), dtype=values.dtype, device=values.device)
        squares[: len(values)] = values.square()
    return (squares + options.epsilon).sqrt()
