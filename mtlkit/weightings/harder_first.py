"""Dynamic weights that favor the harder task (Ming et al., FG 2019, arXiv:1911.03281).

Paper: Zuheng Ming, Junshi Xia, Muhammad Muzzamil Luqman, Jean-Christophe Burie and Kaixing Zhao,
"Dynamic Multi-Task Learning for Face Recognition with Facial Expression", arXiv:1911.03281, 2019.
"""

from collections.abc import Iterable, Sequence

import attrs

from mtlkit.component import Problem, above, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.dynamic import FeatureGate
from mtlkit.weightings.kinds import (
    RequiresPositiveLosses,
    StepLosses,
    WeightedLoss,
    WholeBatch,
    positive,
)
from mtlkit.weightings.term_checks import main_and_side_problems, single_gate_notes


@attrs.frozen(kw_only=True)
class HarderFirst(Weighting):
    """Dynamic weights that favor the task with the highest loss (Ming et al., FG 2019).

    As in `Dynamic`, a softmax of the shared features divides `total` among the side tasks. The gate
    descends on the sum of weight / loss with constant losses, which moves weight to the harder
    tasks instead of the easier ones. `normalize` divides each loss by ln(classes). `learning_rate`
    is that of the gate; None uses that of the optimizer.
    """

    reads_features = True

    total: float = attrs.field(default=0.1, validator=above(0))
    normalize: bool = False
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from main_and_side_problems(terms, "harder-first weights")

    def notes(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from single_gate_notes(terms, "HarderFirst")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "HarderFirstWeights":
        return HarderFirstWeights(self, terms, features)

    @property
    def reads_classes(self) -> bool:
        return self.normalize

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class HarderFirstWeights(WholeBatch, RequiresPositiveLosses):
    """Side weights total * mu with mu = softmax(W^T x + e); the gate descends on sum mu_t / L_t.

    The mean losses L and the features are constants in that sum, so it trains only the gate
    (eq. 6). The network trains on the weighted losses with constant mu. The logged loss excludes
    the value of the sum.
    """

    def __init__(self, config: HarderFirst, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.terms = len(terms)
        self.gate = FeatureGate(
            terms, Role.SIDE, config.total, features, normalize=config.normalize
        )

    def forward(self, losses: StepLosses) -> WeightedLoss:
        indices = self.gate.indices
        gated = self.gate(losses.features.detach())
        weights = gated.new_ones(self.terms, gated.shape[1]).index_copy(0, indices, gated.detach())
        weighted = (weights * losses.weighted).sum(dim=1) / losses.counts.clamp(min=1)
        mean_losses = losses.mean.detach() if losses.summary is None else losses.summary
        normalized = positive(mean_losses[indices] / self.gate.units)
        fraction = gated * self.gate.units.unsqueeze(1) / self.gate.total
        present = losses.fraction * losses.present[indices]
        gate_loss = (fraction.mean(dim=1) * present / normalized).sum()
        total = weighted.sum() + gate_loss - gate_loss.detach()  # adds the gradient, not the value
        return WeightedLoss(total, weights.mean(dim=1))
