"""Dynamic weights that favour the harder task (Ming et al., FG 2019, arXiv:1911.03281).

Paper: Zuheng Ming, Junshi Xia, Muhammad Muzzamil Luqman, Jean-Christophe Burie and Kaixing Zhao,
"Dynamic Multi-Task Learning for Face Recognition with Facial Expression", arXiv:1911.03281, 2019.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import Problem, above, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.dynamic import Gate, guess_of
from mtlkit.weightings.kinds import (
    RequiresPositiveLosses,
    StepLosses,
    WeightedLoss,
    WeightingModule,
    WholeBatch,
    positive,
)
from mtlkit.weightings.term_checks import _main_and_side


@attrs.frozen(kw_only=True)
class HarderFirst(Weighting):
    """Dynamic weights that go to the task with the highest loss (Ming et al., FG 2019).

    As `Dynamic`, the side tasks share `total` by a softmax of the shared features; but the gate
    descends on the sum of weight / loss, in which the losses are constants, so that it moves weight
    to the harder tasks, where Yin & Liu's moves it to the easier ones. With `normalise` losses are
    compared in units of ln(classes). `learning_rate` is that of the gate; None means the
    optimiser's own.
    """

    reads_features: ClassVar[bool] = True

    total: float = attrs.field(default=0.1, validator=above(0))
    normalise: bool = False
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from _main_and_side(terms, "harder-first weights")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return HarderFirstWeights(self, terms, features)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class HarderFirstWeights(WholeBatch, RequiresPositiveLosses):
    """Side weights total * mu with mu = softmax(W^T x + e), the gate learned on sum mu_t / L_t.

    In that sum the mean losses L are constants and the features too, so that it trains the gate
    alone (eq. 6); the network is trained on the weighted losses with mu a constant. The gate then
    goes up where the loss is high. The value of the sum is not part of the loss that is logged.
    """

    guess: Tensor

    def __init__(self, config: HarderFirst, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.terms = len(terms)
        self.gate = Gate(terms, Role.SIDE, config.total, features, units=config.normalise)
        units = [guess_of(term) if config.normalise else 1.0 for term in terms]
        self.register_buffer("guess", torch.tensor(units), persistent=False)

    def summarize(self, losses: StepLosses) -> Tensor:
        return losses.mean.detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        indices = self.gate.indices
        gated = self.gate(losses.features.detach())
        weights = gated.new_ones(self.terms, gated.shape[1]).index_copy(0, indices, gated.detach())
        weighed = (weights * losses.per_sample).sum(dim=1) / losses.counts.clamp(min=1)
        whole = losses.mean.detach() if losses.summary is None else losses.summary
        harder = positive(whole / self.guess)[indices]
        fraction = gated * self.gate.guess.unsqueeze(1) / self.gate.total
        present = losses.fraction * losses.present[indices]
        gate_loss = (fraction.mean(dim=1) * present / harder).sum()
        # its value is taken away again: only the gradient is wanted
        total = weighed.sum() + gate_loss - gate_loss.detach()
        return WeightedLoss(total, weights.mean(dim=1))
