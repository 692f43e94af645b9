"""Dynamic weights from the shared features (Yin & Liu, TIP 2018).

Paper: Xi Yin and Xiaoming Liu, "Multi-Task Convolutional Neural Network for Pose-Invariant Face
Recognition", IEEE Transactions on Image Processing 2018.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit import ops
from mtlkit.component import Problem, above, one_of, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import (
    LossWeighting,
    StepLosses,
    WeightedLoss,
    WeightingModule,
    WholeBatch,
)
from mtlkit.weightings.term_checks import _main_and_side


@attrs.frozen(kw_only=True)
class Dynamic(Weighting):
    """Weights from a softmax of the shared features (Yin & Liu, TIP 2018, eq. 7-8).

    The side tasks share `total` (the paper's phi_s). The main tasks have weight 1 each, or share
    `main_total` by a gate of their own where `gate_main` says so (eq. 10-11).

    `form` is what is averaged over the batch: ``mean-of-products`` weighs each sample's loss with
    its own weight (eq. 8), ``product-of-means`` the mean loss with the mean weight. ``released`` is
    that with the gradient of the authors' released layer, in which a weight scales the loss that
    is reported and moves its gate, while the task's gradient is scaled by the whole `total`. With
    `normalise` a loss is measured in units of ln(classes), the loss of a guess: otherwise the gate,
    which favours the lowest loss, starts by favouring the task with the fewest classes.
    `learning_rate` is that of the gates; None means the optimiser's own.
    """

    reads_features: ClassVar[bool] = True

    total: float = attrs.field(default=0.1, validator=above(0))
    form: str = attrs.field(
        default="mean-of-products",
        validator=one_of("mean-of-products", "product-of-means", "released"),
    )
    normalise: bool = False
    gate_main: bool = False
    main_total: float = attrs.field(default=1.0, validator=above(0))
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from _main_and_side(terms, "dynamic weights")
        if self.gate_main and sum(term.role is Role.MAIN for term in terms) == 1:
            yield Problem(
                ("weighting", "gate_main"),
                "gate_main divides a total among main losses and found 1; leave it out, or route "
                "the main task with `grouped`, whose branches are a second main loss",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return FORMS[self.form](self, terms, features)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class Gate(nn.Module):
    """Weights total * softmax(W^T x + e) of some terms for each sample (eq. 7).

    `guess` (G,) divides them: the loss of a guess, where losses are measured in units of it.
    """

    indices: Tensor
    guess: Tensor

    def __init__(
        self, terms: tuple[LossTerm, ...], role: Role, total: float, features: int, *, units: bool
    ) -> None:
        super().__init__()
        own = [place for place, term in enumerate(terms) if term.role is role]
        self.total = total
        self.linear = nn.Linear(features, len(own))
        nn.init.zeros_(self.linear.weight)  # every gate starts from equal weights
        nn.init.zeros_(self.linear.bias)
        # a buffer is on the device already; a tensor made in every step must be sent there
        self.register_buffer("indices", torch.tensor(own), persistent=False)
        guesses = [guess_of(terms[place]) if units else 1.0 for place in own]
        self.register_buffer("guess", torch.tensor(guesses), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """The weights (G, N) of its terms for each sample, from shared features (N, D)."""
        fraction = ops.gate(features, self.linear.weight, self.linear.bias, reduction="none").T
        return self.total * fraction / self.guess.unsqueeze(1)


def guess_of(term: LossTerm) -> float:
    """The loss of a guess among the term's classes, ln(classes); 1 for a regression."""
    return math.log(term.classes) if term.classes > 1 else 1.0


class GatedWeights(LossWeighting):
    """Weights from gates: side terms share `total`, main terms have 1 or share `main_total`.

    With `gate_main` the main terms have a second gate of the same form (eq. 10-11). Nothing in a
    gate's gradient sees the main loss, so descent moves weight to the term with the lowest loss: a
    gate favours the easy task.
    """

    def __init__(self, config: Dynamic, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.terms = len(terms)
        totals = {Role.SIDE: config.total}
        if config.gate_main:
            totals[Role.MAIN] = config.main_total
        self.gates = nn.ModuleDict(
            {
                role.value: Gate(terms, role, total, features, units=config.normalise)
                for role, total in totals.items()
            }
        )

    def sample_weights(self, features: Tensor) -> Tensor:
        """The weights of each term for each sample (T, N), from shared features (N, D)."""
        weights = features.new_ones(self.terms, len(features), dtype=torch.float32)
        for gate in self.gates.values():
            assert isinstance(gate, Gate)
            weights = weights.index_copy(0, gate.indices, gate(features))
        return weights

    @abstractmethod
    def forward(self, losses: StepLosses) -> WeightedLoss:
        """The gated sum."""


class DynamicWeights(GatedWeights):
    """Each sample's loss times its own weight, and then the mean (eq. 8)."""

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = self.sample_weights(losses.features)
        weighed = (weights * losses.per_sample).sum(dim=1) / losses.counts.clamp(min=1)
        return WeightedLoss(weighed.sum(), weights.detach().mean(dim=1))


class MeanDynamicWeights(GatedWeights, WholeBatch):
    """The mean loss times the mean weight.

    A product of two means over the whole update is no sum over its parts. Its gradient is: that of
    (mean weight) * loss + weight * (mean loss), the means being constants of the update.
    """

    def summarize(self, losses: StepLosses) -> Tensor:
        weights = self.sample_weights(losses.features).mean(dim=1) * losses.fraction
        return torch.stack([losses.mean, weights]).detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = self.sample_weights(losses.features).mean(dim=1) * losses.fraction
        own = torch.stack([losses.mean, weights])
        whole = own.detach() if losses.summary is None else losses.summary
        scale = self.scale(whole[1])
        # the third term leaves the product as the value, and has no gradient
        total = scale * own[0] + own[1] * whole[0] - scale * whole[0] * losses.fraction
        return WeightedLoss(total.sum(), whole[1])

    def scale(self, weights: Tensor) -> Tensor:
        """What each task's gradient is multiplied with (T,), given the mean `weights` (T,)."""
        return weights


class ReleasedDynamicWeights(MeanDynamicWeights):
    """The layer that the authors released: its weights do not reach the tasks' own gradients.

    The backward pass of `SoftmaxWithLossDynamic` gives the gate the mean loss, and the logits their
    plain gradient; only the loss that it reports is a product. So each side task trains at the full
    `total`, however the gate divides it.
    """

    whole: Tensor

    def __init__(self, config: Dynamic, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__(config, terms, features)
        totals = {
            Role.SIDE: config.total,
            Role.MAIN: config.main_total if config.gate_main else 1.0,
        }
        self.register_buffer(
            "whole", torch.tensor([totals[term.role] for term in terms]), persistent=False
        )

    def scale(self, weights: Tensor) -> Tensor:
        return self.whole


FORMS: Mapping[str, type[GatedWeights]] = {
    "mean-of-products": DynamicWeights,
    "product-of-means": MeanDynamicWeights,
    "released": ReleasedDynamicWeights,
}
"""What the option `form` names."""
