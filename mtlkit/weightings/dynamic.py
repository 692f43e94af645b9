"""Dynamic weights from the shared features (Yin & Liu, TIP 2018).

Paper: Xi Yin and Xiaoming Liu, "Multi-Task Convolutional Neural Network for Pose-Invariant Face
Recognition", IEEE Transactions on Image Processing 2018.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit import ops
from mtlkit.component import Problem, above, one_of, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss, WholeBatch
from mtlkit.weightings.term_checks import (
    heavy_side_notes,
    main_and_side_problems,
    single_gate_notes,
)


@attrs.frozen(kw_only=True)
class Dynamic(Weighting):
    """Weights from a softmax of the shared features (Yin & Liu, TIP 2018, eq. 7-8).

    The side tasks share `total` (the paper's phi_s, 0.1). A single side task gets all of it: its
    weight is constant. A `total` of the main task's weight or more can hold a main task with few
    samples for each class near chance level. Each main task has weight 1; with `gate_main`
    a second gate divides `main_total` among them (eq. 10-11).

    `form` selects the average over the batch. ``mean-of-products`` multiplies each sample's loss by
    its own weight (eq. 8), ``product-of-means`` the mean loss by the mean weight. ``released``
    reports the same value with the gradient of the authors' released layer: the gate learns from
    the product, and each task's gradient is scaled by the whole `total`.

    `normalize` divides each loss by ln(classes), its value at chance level. Without it the gate,
    which favors the lowest loss, first favors the task with the fewest classes. `learning_rate` is
    that of the gates; None uses that of the optimizer.
    """

    reads_features = True

    total: float = attrs.field(default=0.1, validator=above(0))
    form: str = attrs.field(
        default="mean-of-products",
        validator=one_of("mean-of-products", "product-of-means", "released"),
    )
    normalize: bool = False
    gate_main: bool = False
    main_total: float = attrs.field(default=1.0, validator=above(0))
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from main_and_side_problems(terms, "dynamic weights")
        if self.gate_main and sum(term.role is Role.MAIN for term in terms) == 1:
            yield Problem(
                ("weighting", "gate_main"),
                "got 1 main loss, expected at least 2 for `gate_main`; remove it, or route the "
                "main task with `grouped`, whose branches are a second main loss",
            )

    def notes(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from single_gate_notes(terms, "Dynamic")
        yield from heavy_side_notes(terms, self.total)

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "GatedWeights":
        return FORMS[self.form](self, terms, features)

    @property
    def reads_classes(self) -> bool:
        return self.normalize

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class FeatureGate(nn.Module):
    """Weights total * softmax(W^T x + e) of the terms of one role for each sample (eq. 7).

    `units` (G,) divide the weights: the loss at chance level if losses are normalized, or 1.
    """

    def __init__(
        self,
        terms: tuple[LossTerm, ...],
        role: Role,
        total: float,
        features: int,
        *,
        normalize: bool,
    ) -> None:
        super().__init__()
        indices = [index for index, term in enumerate(terms) if term.role is role]
        self.total = total
        self.linear = nn.Linear(features, len(indices))
        nn.init.zeros_(self.linear.weight)  # every gate starts from equal weights
        nn.init.zeros_(self.linear.bias)
        # buffers avoid a copy to the device in every step
        self.indices = nn.Buffer(torch.tensor(indices), persistent=False)
        units = [chance_loss(terms[index]) if normalize else 1.0 for index in indices]
        self.units = nn.Buffer(torch.tensor(units), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weights (G, N) of the gated terms, from shared features (N, D)."""
        fraction = ops.gate(features, self.linear.weight, self.linear.bias, reduction="none").T
        return self.total * fraction / self.units.unsqueeze(1)


def chance_loss(term: LossTerm) -> float:
    """Return the loss at chance level: ln(classes), or 1 for a regression."""
    return math.log(term.classes) if term.classes > 1 else 1.0


class GatedWeights(LossWeighting):
    """Weights from gates: side terms share `total`; main terms have weight 1 or share `main_total`.

    With `gate_main` the main terms have a second gate of the same form (eq. 10-11). A gate's
    gradient does not depend on the other role's losses, so descent moves weight to the term with
    the lowest loss: a gate favors the easiest task.
    """

    def __init__(self, config: Dynamic, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.terms = len(terms)
        totals = {Role.SIDE: config.total}
        if config.gate_main:
            totals[Role.MAIN] = config.main_total
        of_terms = [totals.get(term.role, 1.0) for term in terms]
        self.totals = nn.Buffer(torch.tensor(of_terms), persistent=False)
        self.gates = nn.ModuleDict(
            {
                role.value: FeatureGate(terms, role, total, features, normalize=config.normalize)
                for role, total in totals.items()
            }
        )

    def sample_weights(self, features: Tensor) -> Tensor:
        """Return the weights of each term for each sample (T, N), from shared features (N, D)."""
        weights = features.new_ones(self.terms, len(features), dtype=torch.float32)
        for gate in self.gates.values():
            assert isinstance(gate, FeatureGate)
            weights = weights.index_copy(0, gate.indices, gate(features))
        return weights


class DynamicWeights(GatedWeights):
    """Mean over samples of each loss times the sample's weight (eq. 8)."""

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = self.sample_weights(losses.features)
        weighted = (weights * losses.weighted).sum(dim=1) / losses.counts.clamp(min=1)
        return WeightedLoss(weighted.sum(), weights.detach().mean(dim=1))


class MeanDynamicWeights(GatedWeights, WholeBatch):
    """Mean loss times mean weight.

    A product of two means over the whole update is not a sum over its parts, but its gradient is:
    that of (mean weight) * loss + weight * (mean loss), with the means as constants.
    """

    def summarize(self, losses: StepLosses) -> Tensor:
        weights = self.sample_weights(losses.features).mean(dim=1) * losses.fraction
        return torch.stack([losses.mean, weights]).detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = self.sample_weights(losses.features).mean(dim=1) * losses.fraction
        mean_loss, mean_weight = (
            torch.stack([losses.mean, weights]).detach()
            if losses.summary is None
            else losses.summary
        )
        scale = self.scale(mean_weight)
        # the third term has no gradient and makes the value the product
        total = scale * losses.mean + weights * mean_loss - scale * mean_loss * losses.fraction
        return WeightedLoss(total.sum(), mean_weight)

    def scale(self, weights: Tensor) -> Tensor:
        """Return the factor of each task's gradient (T,), given the mean `weights` (T,)."""
        return weights


class ReleasedDynamicWeights(MeanDynamicWeights):
    """Weights of the authors' released layer, which do not scale the tasks' gradients.

    The backward pass of `SoftmaxWithLossDynamic` passes the mean loss to the gate and the plain
    gradient to the logits; only the reported loss is a product. Each side task therefore trains
    with the full `total`, whatever the gate's weights are.
    """

    def scale(self, weights: Tensor) -> Tensor:
        return self.totals


FORMS: Mapping[str, type[GatedWeights]] = {
    "mean-of-products": DynamicWeights,
    "product-of-means": MeanDynamicWeights,
    "released": ReleasedDynamicWeights,
}
"""Modules by the option `form`."""
